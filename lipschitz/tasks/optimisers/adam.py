"""The optimiser Adam."""

import torch
from torch import Tensor

from lipschitz.tasks.optimisers.base import Optimiser


class Adam(Optimiser):
    """Adam with the setting's β1 and β2."""

    source = "Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1"

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's fused Adam."""
        return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True, capturable=on_cuda)
