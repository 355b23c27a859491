"""Muon: orthogonalised momentum for the weights of layers, and AdamW for all other parameters, as one optimiser."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

StepSize = Literal["match_rms_adamw", "original"]
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the published iteration x <- a x + b x³ + c x⁵. Its singular values end in about [0.7, 1.2], not at 1."""
ITERATIONS = 5
SMALLEST_NORM = 1e-7


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) on ``weights``, AdamW on ``others``.

    torch's own Muon takes matrices only, and a learning rate that decays inside a CUDA graph not at all; its step is
    the same up to rounding. Here each weight is reshaped, as it is stored, to ``(n, ...)``. The first parameter group
    is Muon's, the second is that of torch's fused AdamW without weight decay.
    """

    def __init__(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        lr: float | Tensor,
        betas: tuple[float, float],
        *,
        momentum: float,
        weight_decay: float,
        step_size: StepSize,
        on_cuda: bool,
    ) -> None:
        super().__init__([{"params": list(weights)}, {"params": list(others)}], {"lr": lr})
        self._momentum, self._weight_decay, self._step_size = momentum, weight_decay, step_size
        self._adamw = torch.optim.AdamW(
            [self.param_groups[1]], lr=lr, betas=betas, weight_decay=0, fused=True, capturable=on_cuda
        )
        self.param_groups[1:] = self._adamw.param_groups

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make one step of both; parameters without a gradient are skipped. A closure is not used."""
        weights = [weight for weight in self.param_groups[0]["params"] if weight.grad is not None]
        if weights:
            self._step_of_muon(weights, self.param_groups[0]["lr"])
        # One state for both. It is another dictionary after load_state_dict.
        self._adamw.state, self._adamw.param_groups = self.state, self.param_groups[1:]
        self._adamw.step()

    def _step_of_muon(self, weights: list[Tensor], lr: float | Tensor) -> None:
        gradients: list[Tensor] = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        averages = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(averages, gradients, 1 - self._momentum)
        steps = [
            orthogonalized(nesterov.flatten(1)).to(weight.dtype).mul_(self._factor(weight)).view_as(weight)
            for weight, nesterov in zip(weights, torch._foreach_lerp(gradients, averages, self._momentum), strict=True)
        ]
        torch._foreach_mul_(steps, lr)
        if self._weight_decay:
            torch._foreach_mul_(weights, 1 - lr * self._weight_decay)
        torch._foreach_sub_(weights, steps)

    def _factor(self, weight: Tensor) -> float:
        """Return the size of a step of a weight ``(m, ...)`` of n numbers a row, for a learning rate of one."""
        m, n = len(weight), weight[0].numel()
        return 0.2 * math.sqrt(max(m, n)) if self._step_size == "match_rms_adamw" else math.sqrt(max(1, m / n))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return about U Vᵀ of the singular value decomposition of ``matrix`` ``(m, n)``, in bfloat16 as by the authors.

    All singular values but the smallest become about one. A zero matrix stays zero.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / torch.linalg.vector_norm(x).clamp_min(SMALLEST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
