"""The peers: other implementations of a training of ours, on the same networks, from the same weights."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from discriminator import generation, noise_images
from normalised import (
    MIMICRY,
    TORCHGAN,
    Library,
    by_hook,
    by_mimicry,
    by_parametrization,
    by_torchgan,
    start_parametrizations,
)
from same_step import Steps
from textbook import GAN, SNGAN, WGAN, WGANGP, Loop
from torch import nn
from torch_spectral_norm import TorchSpectralNorm

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
    """A constraint of ours with a loss and a setting that makes one discriminator update per generator update."""

    constraint: Constraint
    loss: str
    setting: Setting

    def build(self, workload: Workload) -> GANTraining:
        """Return its training."""
        return generation(self.constraint, loss=self.loss, setting=self.setting, **workload)


class Peer(NamedTuple):
    """Another implementation of the same training."""

    what: str
    ours: Ours
    train: Callable[[Setting, Workload], Steps]
    library: Library | None = None
    """What has to be installed."""

    def build(self, workload: Workload) -> Steps:
        """Return its training."""
        return self.train(self.ours.setting, workload)


def textbook(loop: type[Loop], prepare: Callable[[nn.Module], None] | None = None) -> Callable[..., Loop]:
    """Return what builds ``loop`` on our initial networks, the discriminator changed in place by ``prepare``."""

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
    """Return our own training, in which torch's parametrization takes the place of our constraint."""
    task = generation(TorchSpectralNorm(), setting=setting, **workload)
    start_parametrizations(task.discriminator)
    return task


def _optimiser(setting: Setting) -> Callable[..., torch.optim.Optimizer]:
    """Return torch's optimiser as it comes, but for the setting's numbers."""
    if setting.optimiser.name() == "rmsprop":
        return partial(torch.optim.RMSprop, lr=setting.lr)
    return partial(torch.optim.Adam, lr=setting.lr, betas=setting.betas)


_NORMALIZATION = Ours(SpectralNormalization(), "hinge", SETTINGS["C"])
_PENALTY = Ours(GradientPenalty(), "wasserstein", Setting(lr=1e-4, betas=(0.0, 0.9)))
# Clipped from the start: else the first update is the clipping of weights ten times too large, and hides the rest.
_CLIPPING = WeightClipping(initial=True)

PEERS = {
    "torch_parametrization": Peer(
        "`torch.nn.utils.parametrizations.spectral_norm` in a plain SN-GAN loop",
        _NORMALIZATION,
        textbook(SNGAN, by_parametrization),
    ),
    "torch_hook": Peer(
        "the older `torch.nn.utils.spectral_norm` in the same loop",
        _NORMALIZATION,
        textbook(SNGAN, by_hook),
    ),
    "torch_mimicry": Peer(
        "the layers of the library torch_mimicry in the same loop",
        _NORMALIZATION,
        textbook(SNGAN, by_mimicry),
        MIMICRY,
    ),
    "torchgan": Peer(
        "the layer of the library torchgan in the same loop",
        _NORMALIZATION,
        textbook(SNGAN, by_torchgan),
        TORCHGAN,
    ),
    "torch_in_our_step": Peer(
        "torch's parametrization in our own step, so that nothing but the constraint differs",
        _NORMALIZATION,
        torch_in_our_step,
    ),
    "wgan_gp": Peer("a plain WGAN-GP loop", _PENALTY, textbook(WGANGP)),
    "wgan": Peer(
        "a plain WGAN loop, with Adam",
        Ours(_CLIPPING, "wasserstein", SETTINGS["C"]),
        textbook(WGAN, _CLIPPING.project),
    ),
    "wgan_rmsprop": Peer(
        "a plain WGAN loop, with RMSProp as in its paper",
        Ours(_CLIPPING, "wasserstein", Setting(optimiser="rmsprop", lr=5e-5)),
        textbook(WGAN, _CLIPPING.project),
    ),
    "gan": Peer(
        "a plain GAN loop without a constraint",
        Ours(NoConstraint(), "non_saturating", SETTINGS["C"]),
        textbook(GAN),
    ),
}
