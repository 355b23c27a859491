"""The workload of the step benchmarks: the task's own discriminator step, on images that are noise."""

import torch

from lipschitz.constraints.base import Constraint
from lipschitz.datasets.images import ImageData, Split
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation import Generation
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Terms

CPU = torch.device("cpu")
IMAGES = 512


def noise_images(size: int) -> ImageData:
    """Return uint8 images ``(512, 3, size, size)``, the same at every call: what they show costs nothing."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 3, size, size), generator=rng, dtype=torch.uint8)
    split = Split(images, torch.zeros(IMAGES, dtype=torch.int64))
    return ImageData.load(split, split, CPU, classes=1)


def generation(constraint: Constraint, *, width: int, size: int, batch_size: int) -> Generation:
    """Return SN-GAN's standard CNN at setting C with the hinge loss; two of them draw the same batches in turn."""
    return Generation(
        noise_images(size),
        Terms(
            DCGAN(width=width),
            (constraint,),
            LOSSES["hinge"],
            SETTINGS["C"],
            seed=0,
            batch_size=batch_size,
            samples=batch_size,
            gradient_samples=batch_size,
            selection="frechet_classifier",
            device=CPU,
        ),
    )
