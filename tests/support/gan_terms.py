"""The terms of a small GAN on images, of which a test replaces what it is about."""

import torch

from lipschitz.constraints.none import NoConstraint
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Terms

TERMS = Terms(
    DCGAN(width=4),
    (NoConstraint(),),
    LOSSES["hinge"],
    SETTINGS["C"],
    seed=0,
    batch_size=8,
    samples=32,
    gradient_samples=8,
    selection="frechet_classifier",
    device=torch.device("cpu"),
)
