"""The task generation with a small GAN on points or digits, in a given precision."""

import torch
from gan_terms import TERMS, with_terms

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.points import EightGaussians
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.precision import Precision

CPU = torch.device("cpu")


def task(
    precision: Precision, *constraints: Constraint, model: PairModel | None = None, device: torch.device = CPU
) -> GANTraining:
    model = model or DCGAN(width=4)
    points = model.kind == "points"
    return GANTraining(
        (EightGaussians() if points else Digits()).load(None, device),
        with_terms(
            TERMS,
            model=model,
            constraints=constraints or (NoConstraint(),),
            selection="w1" if points else "frechet_classifier",
            device=device,
            precision=precision,
        ),
    )
