"""The other implementations that our training step is compared with: same networks, same initial weights."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from other_spectral_norms import (
    MIMICRY,
    TORCHGAN,
    Library,
    TorchSpectralNorm,
    apply_torch_hook,
    apply_torch_mimicry,
    apply_torch_parametrization,
    apply_torchgan,
    start_at_leading_vectors,
)
from same_step import Steps
from textbook import GAN, SNGAN, WGAN, WGANGP, Loop
from torch import nn
from workload import dcgan_training, noise_images

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.models.dcgan import DCGAN
from lipschitz.random_streams import seeded
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.settings import SETTINGS, Setting

Workload = dict[str, Any]
"""``width``, ``size``, ``batch_size`` and ``device``."""


class Ours(NamedTuple):
    """Our side of a comparison: a constraint, a loss, and a setting with one discriminator update per step."""

    constraint: Constraint
    loss: str
    setting: Setting

    def build(self, workload: Workload) -> GANTraining:
        """Build the training."""
        return dcgan_training(self.constraint, loss=self.loss, setting=self.setting, **workload)


class Peer(NamedTuple):
    """Another implementation of the same training."""

    what: str
    label: str
    """Short name for the figure."""
    ours: Ours
    train: Callable[[Setting, Workload], Steps]
    library: Library | None = None
    """The package that must be installed, if any."""

    def build(self, workload: Workload) -> Steps:
        """Build the training."""
        return self.train(self.ours.setting, workload)


def textbook(loop: type[Loop], prepare: Callable[[nn.Module], None] | None = None) -> Callable[..., Loop]:
    """Return a function that builds ``loop`` on our initial networks, after ``prepare`` changed the discriminator."""

    def train(setting: Setting, workload: Workload) -> Loop:
        size, device = workload["size"], workload["device"]
        with seeded(0, "weights"):
            networks = DCGAN(width=workload["width"]).build((3, size, size))
        networks.generator.to(device)
        networks.discriminator.to(device)
        if prepare is not None:
            prepare(networks.discriminator)
        images = noise_images(size, device).train.images
        return loop(networks, images, workload["batch_size"], _optimiser(setting))

    return train


def torch_in_our_step(setting: Setting, workload: Workload) -> GANTraining:
    """Return our own training with torch's parametrization instead of our constraint."""
    task = dcgan_training(TorchSpectralNorm(), setting=setting, **workload)
    start_at_leading_vectors(task.discriminator)
    return task


def _optimiser(setting: Setting) -> Callable[..., torch.optim.Optimizer]:
    """Return torch's optimiser with the numbers of the setting and torch's other defaults."""
    if setting.optimiser.name() == "rmsprop":
        return partial(torch.optim.RMSprop, lr=setting.lr)
    return partial(torch.optim.Adam, lr=setting.lr, betas=setting.betas)


_NORMALIZATION = Ours(SpectralNormalization(), "hinge", SETTINGS["C"])
_PENALTY = Ours(GradientPenalty(), "wasserstein", Setting(lr=1e-4, betas=(0.0, 0.9)))
# The initial weights are ten times larger than c. Without initial clipping the first update would only show that.
_CLIPPING = WeightClipping(initial=True)

PEERS = {
    "torch_parametrization": Peer(
        "`torch.nn.utils.parametrizations.spectral_norm` in a plain SN-GAN loop",
        "SN, torch's parametrization, textbook loop",
        _NORMALIZATION,
        textbook(SNGAN, apply_torch_parametrization),
    ),
    "torch_hook": Peer(
        "the older `torch.nn.utils.spectral_norm` in the same loop",
        "SN, torch's older hook, textbook loop",
        _NORMALIZATION,
        textbook(SNGAN, apply_torch_hook),
    ),
    "torch_mimicry": Peer(
        "the layers of the library torch_mimicry in the same loop",
        "SN, mimicry's layers, textbook loop",
        _NORMALIZATION,
        textbook(SNGAN, apply_torch_mimicry),
        MIMICRY,
    ),
    "torchgan": Peer(
        "the layer of the library torchgan in the same loop",
        "SN, torchgan's layer, textbook loop",
        _NORMALIZATION,
        textbook(SNGAN, apply_torchgan),
        TORCHGAN,
    ),
    "torch_in_our_step": Peer(
        "torch's parametrization in our own step, so that nothing but the constraint differs",
        "SN, torch's parametrization, our loop",
        _NORMALIZATION,
        torch_in_our_step,
    ),
    "wgan_gp": Peer("a plain WGAN-GP loop", "WGAN-GP, textbook loop", _PENALTY, textbook(WGANGP)),
    "wgan": Peer(
        "a plain WGAN loop, with Adam",
        "WGAN, textbook loop",
        Ours(_CLIPPING, "wasserstein", SETTINGS["C"]),
        textbook(WGAN, _CLIPPING.project),
    ),
    "wgan_rmsprop": Peer(
        "a plain WGAN loop, with RMSProp as in its paper",
        "WGAN, textbook loop with RMSProp",
        Ours(_CLIPPING, "wasserstein", Setting(optimiser="rmsprop", lr=5e-5)),
        textbook(WGAN, _CLIPPING.project),
    ),
    "gan": Peer(
        "a plain GAN loop without a constraint",
        "GAN, textbook loop",
        Ours(NoConstraint(), "non_saturating", SETTINGS["C"]),
        textbook(GAN),
    ),
}
