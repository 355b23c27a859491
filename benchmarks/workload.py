"""SN-GAN's standard CNN on noise images: the training whose steps the benchmarks time."""

import torch

from lipschitz.constraints.base import Constraint
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.memory_format import MemoryFormat
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import SETTINGS, Setting
from lipschitz.tasks.terms import Evaluation, Terms, Training

CPU = torch.device("cpu")
IMAGES = 512
PLACES, POINTS = ("real", "fake", "interpolated", "old", "noise"), Evaluation().gradient_samples
"""Where a sweep measures a discriminator of images, and at how many points of each place."""


def noise_images(size: int, device: torch.device = CPU) -> ImageData:
    """Return uint8 images ``(512, 3, size, size)`` of uniform noise, the same at every call."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 3, size, size), generator=rng, dtype=torch.uint8)
    split = Split(images, torch.zeros(IMAGES, dtype=torch.int64))
    return ImageData.load(split, split, device, classes=1)


def dcgan_training(
    constraint: Constraint,
    *,
    width: int,
    size: int,
    batch_size: int,
    loss: str = "hinge",
    setting: Setting = SETTINGS["C"],
    device: torch.device = CPU,
    precision: Precision = "float32",
    layout: MemoryFormat = "contiguous",
    seed: int = 0,
) -> GANTraining:
    """Return the training of SN-GAN's standard CNN. Two trainings with one seed draw the same batches."""
    return GANTraining(
        noise_images(size, device),
        Terms(
            DCGAN(width=width),
            (constraint,),
            LOSSES[loss](),
            setting,
            seed,
            Training(steps=1000, batch_size=batch_size, precision=precision, layout=layout),
            Evaluation(samples=batch_size, gradient_samples=batch_size),
            selection="frechet_classifier",
            device=device,
        ),
    )
