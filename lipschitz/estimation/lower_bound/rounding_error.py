"""Rounding error of a network's outputs, estimated by Monte Carlo arithmetic: random errors in every operation."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lipschitz.estimation.lower_bound.gradient_norms import Network, outputs_of, sample_norms

DRAWS = 3
"""Passes with random errors."""
SAFETY = 64
"""The estimate is multiplied by this. A sum of n terms, here one operation, makes about √n errors: n of 4,096 is 64."""


def rounding_errors(net: Network, points: Tensor) -> Tensor:
    """Estimate the norm of the rounding error of net(x) for each of ``points`` ``(n, ...)``, as ``(n,)``, from above.

    Parker 1997, Monte Carlo Arithmetic: the inputs and the result of every operation inside the network are multiplied
    by 1 + η ξ, with ξ uniform in [-1, 1]. Where the outputs then move by at most D over `DRAWS` passes, the rounding
    error is taken to be at most ``SAFETY`` D ε / η, with ε the unit of rounding of the dtype and η the root of ε. So a
    large value inside the network counts, even if a later layer subtracts it again. To this ε times the norm of the
    output is added.
    """
    unit = torch.finfo(points.dtype).eps
    with torch.no_grad():
        exact = outputs_of(net, points)
        moved = torch.zeros_like(sample_norms(exact))
        rng = torch.Generator().manual_seed(0)
        for _ in range(DRAWS):
            with _RandomErrors(unit**0.5, rng) as errors:
                perturbed = outputs_of(net, errors.perturb(points.clone()))
            moved = torch.maximum(moved, sample_norms(perturbed - exact))
    allowed: Tensor = SAFETY * (unit**0.5 * moved + unit * sample_norms(exact))
    return allowed


class _RandomErrors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Multiplies the result of every operation that is not a view by 1 + η ξ."""

    def __init__(self, size: float, rng: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._size, self._rng = size, rng

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        aliases = [one.alias_info for one in func._schema.returns]
        if not any(aliases):
            for leaf in tree_leaves(output):
                if isinstance(leaf, Tensor) and leaf.is_floating_point():
                    self.perturb(leaf)
        return output

    def perturb(self, values: Tensor) -> Tensor:
        """Multiply ``values`` in place, and return them."""
        draws = torch.rand(values.shape, generator=self._rng, dtype=values.dtype).to(values.device)
        return values.mul_(1 + self._size * (2 * draws - 1))
