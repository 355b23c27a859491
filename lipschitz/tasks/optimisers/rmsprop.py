"""The optimiser RMSProp."""

import torch
from torch import Tensor

from lipschitz.tasks.optimisers.base import Optimiser

FITS_CACHE = 2**20
"""Most parameters whose values, gradients and averages the caches of a CPU core hold."""


class RMSProp(Optimiser):
    """RMSProp, as in the WGAN paper; the setting's betas are not used."""

    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's RMSprop with its default smoothing constant."""
        # On a CPU, updating one parameter tensor after the other is faster if the caches cannot hold all of them.
        foreach = on_cuda or sum(parameter.numel() for parameter in parameters) < FITS_CACHE
        return torch.optim.RMSprop(parameters, lr=lr, foreach=foreach, capturable=on_cuda)
