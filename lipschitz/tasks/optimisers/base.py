"""The base class of optimisers."""

from abc import abstractmethod

import torch
from torch import Tensor

from lipschitz.config import Config


class Optimiser(Config):
    """An optimiser of both networks. A subclass is one file in this package, named after the optimiser.

    The learning rate and Adam's betas are fields of the setting; what else an optimiser needs are fields of its own.
    """

    @abstractmethod
    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's optimiser over ``parameters``.

        Args:
            parameters: of one network.
            lr: learning rate α; a scalar tensor where it decays.
            betas: β1 and β2 of the setting.
            on_cuda: whether a CUDA graph must be able to capture its step.
        """
