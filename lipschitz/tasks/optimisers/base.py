"""The base class of optimisers."""

from abc import abstractmethod

import torch
from torch import Tensor

from lipschitz.config import Config


class Optimiser(Config):
    """The optimiser of both networks. A subclass is one file in this package, named after the optimiser.

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
