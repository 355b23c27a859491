"""Optimisers that a setting can name: Adam and RMSProp."""

from abc import abstractmethod

import torch
from torch import Tensor

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint


class Optimiser(Config):
    """The optimiser of both networks. A subclass is a class in this module, called ``named``, or a file of yours.

    Learning rate and Adam's betas are fields of the setting; further hyperparameters are fields of the optimiser.
    """

    @abstractmethod
    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's optimiser of ``parameters``.

        Args:
            parameters: those of one network.
            lr: learning rate α; a scalar tensor where it decays.
            betas: β1 and β2 of the setting.
            on_cuda: whether the step runs on CUDA, where a CUDA graph must be able to capture it.
        """


class Adam(Optimiser):
    """Adam with the setting's β1 and β2."""

    named = "adam"
    source = "Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1"

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's fused Adam."""
        return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True, capturable=on_cuda)


FITS_CACHE = 2**20
"""Most parameters whose values, gradients and averages the caches of a CPU core hold."""


class RMSProp(Optimiser):
    """RMSProp, as in the WGAN paper; the setting's betas are not used."""

    named = "rmsprop"
    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's RMSprop with its default smoothing constant."""
        # On a CPU, updating one parameter tensor after the other is faster if the caches cannot hold all of them.
        foreach = on_cuda or sum(parameter.numel() for parameter in parameters) < FITS_CACHE
        return torch.optim.RMSprop(parameters, lr=lr, foreach=foreach, capturable=on_cuda)


OPTIMISERS = ExtensionPoint("optimiser", "optimisers", "lipschitz.tasks.optimisers", Optimiser)
