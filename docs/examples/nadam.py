"""An optimiser of your own: Adam with Nesterov's momentum."""

import torch
from torch import Tensor

from lipschitz.tasks.optimisers import Optimiser


class NAdam(Optimiser):
    """NAdam, with the setting's β1 and β2."""

    source = "Dozat 2016, Incorporating Nesterov momentum into Adam"

    momentum_decay: float = 0.004
    """Decay of the momentum's schedule."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's NAdam."""
        return torch.optim.NAdam(parameters, lr=lr, betas=betas, momentum_decay=self.momentum_decay, capturable=on_cuda)
