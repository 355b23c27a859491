"""An optimiser of your own: gradient descent with momentum."""

import torch
from torch import Tensor

from lipschitz.tasks.optimisers import Optimiser


class SGD(Optimiser):
    """Stochastic gradient descent with momentum."""

    source = "Sutskever et al. 2013, ICML, On the importance of initialization and momentum in deep learning"

    momentum: float = 0.0
    """Factor of the last step."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's SGD."""
        return torch.optim.SGD(parameters, lr=lr, momentum=self.momentum)
