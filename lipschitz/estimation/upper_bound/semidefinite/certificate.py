"""Upper bound of the Lipschitz constant of a chain of linear maps and activations by semidefinite relaxation.

Setting (LipSDP-Neuron, Fazlyab et al. 2019, arXiv:1906.04893, Theorem 2). Let δ be the change of the values at some
place of the chain that a change of the input of norm one causes, and P such that δ δᵀ ⪯ P for all of them. At the
input P = I. A linear map W takes P to A = W P Wᵀ. An activation with difference quotients in [m - r, m + r] gives
changes y = m z + r Δ z, with a diagonal Δ, |Δ_ii| <= 1. So for every diagonal Λ > 0

    r² zᵀ Λ z >= (y - m z)ᵀ Λ (y - m z),

and yᵀ X y <= zᵀ A⁻¹ z for the largest X with zᵀ A⁻¹ z - yᵀ X y >= r² zᵀ Λ z - (y - m z)ᵀ Λ (y - m z) for all y, z. Its
inverse is, with T = (r² Λ)⁻¹,

    P = m² T (T - A)⁻¹ T - (m² - r²) T,        T ≻ A.

The last linear map w gives the bound ‖w P wᵀ‖^(1/2). For ReLU, m = r = 1/2 and T = 2 ‖A‖ I, this is ECLipsE-Fast (Xu
and Sivaranjani 2024, arXiv:2404.04375, Algorithm 2, where Λ = 2 / ‖A‖ and the matrix of the recursion is P⁻¹). Any
T ≻ A is a certificate. Here T = ρ λ D² (see `ellipsoids.after_activation`), and ρ and D are chosen by L-BFGS on the
bound itself.

Convolutions. Put all maps on one torus that is so large that no window of a kernel wraps around it (`frequencies`). A
zero-padded convolution of a map is then a circular convolution, followed by a multiplication with a mask that is one on
the map and zero elsewhere. A mask times an activation with slopes in [a, b] is an elementwise map with slopes in
[min(a, 0), max(b, 0)]. So, with one multiplier a channel, everything but the mask is translation-invariant, and the
mask is part of Δ. P is block-circulant: one c x c matrix a frequency, on which the recursion runs. A stride s folds s^d
frequencies into one. Where the next map reads only places of the map, the mask is not needed, and the slopes stay
[a, b]. When a map has become small, P is written out for its places (`layout.Crop`), and the recursion goes on with
vectors: with the true padding, a multiplier a unit, and without masks.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from lipschitz.estimation.upper_bound.semidefinite.layout import Layout
from lipschitz.estimation.upper_bound.semidefinite.normal_form import normal_form
from lipschitz.estimation.upper_bound.semidefinite.steps import (
    Convolution,
    Matrix,
    NormalStep,
    SpatialSum,
    Step,
    shapes,
)

FIRST_GAPS = {"stride one": 0.2, "larger stride": 0.4, "last": 0.08}
"""ρ - 1 from which the search starts: after a linear step with stride one or a larger one, and at the last activation.

About what it finds for random weights. Where the last linear map has few rows, it reads few of the directions that a
small gap stretches.
"""
ITERATIONS = 16
"""Evaluations in the search for multipliers, at most."""
SHORT_SEARCH = 10
"""Evaluations in a search that costs more than was allowed."""
SAMPLES = ((3, 20), (2, 20), (1, SHORT_SEARCH))
"""Frequencies by axis that may stand for all in the search, and the number of evaluations: with few frequencies, many
evaluations fit the multipliers to these alone."""
FINAL_FLOPS = 4e11
"""Largest cost of the last evaluation."""
SEARCH_UNITS = 512
"""Maps with at most so many values are written out as vectors while multipliers are searched."""
FINAL_UNITS = 2048
"""Maps with at most so many values are written out as vectors in the last evaluation."""
BACKWARD = 3
"""Cost of an evaluation with its gradient, relative to one without."""


class Multipliers(NamedTuple):
    """log(ρ - 1) and 2 log D of each activation, see `ellipsoids.after_activation`."""

    log_gaps: list[Tensor]
    log_scales: list[Tensor]

    def square(self, layout: Layout) -> Tensor:
        """Return the square of the bound of ``layout``, with one scale a channel repeated for all its positions."""
        sizes = [channels * positions for channels, positions in layout.activations]
        scales = [
            scale if len(scale) == size else scale.repeat_interleave(size // len(scale))
            for scale, size in zip(self.log_scales, sizes, strict=True)
        ]
        return layout.square(self.log_gaps, scales)


def chain_bound(steps: Sequence[Step], shape: tuple[int, ...], *, flops: float = 3e10) -> float:
    """Return an upper bound of the Lipschitz constant of ``steps``, on inputs of ``shape`` ``(c, ...)`` or ``(n,)``.

    Args:
        steps: in order; float64.
        shape: of one sample.
        flops: floating-point operations that the search for multipliers may take, roughly. A search of `SHORT_SEARCH`
            evaluations may take `FINAL_FLOPS` in any case. The clock decides nothing, so the result can be repeated.

    Returns:
        Infinity where even one evaluation costs more than `FINAL_FLOPS`.
    """
    factor, steps = normal_form(steps, shape)
    if not steps or factor == 0:
        return factor
    plain, written_out = (Layout(steps, shape, torus_steps(steps, shape, n)) for n in (SEARCH_UNITS, FINAL_UNITS))
    if plain.cost() > FINAL_FLOPS:
        return math.inf
    multipliers = search_multipliers(*_search(plain, steps, shape, flops))
    # A layout may need a mask, which has multipliers, where the other has none.
    same = len(written_out.activations) == len(plain.activations)
    final = written_out if same and written_out.cost() <= flops / 2 else plain
    try:
        with torch.no_grad():
            bound = factor * math.sqrt(float(multipliers.square(final)))
    except LinAlgError:  # The product of the layers' bounds is left.
        return math.inf
    return bound if bound >= 0 else math.inf


def chain_cost(steps: Sequence[Step], shape: tuple[int, ...]) -> float:
    """Return about how many floating-point operations one evaluation of the bound of ``steps`` takes."""
    _, steps = normal_form(steps, shape)
    return Layout(steps, shape, torus_steps(steps, shape, SEARCH_UNITS)).cost() if steps else 0.0


def _search(plain: Layout, steps: Sequence[NormalStep], shape: tuple[int, ...], flops: float) -> tuple[Layout, int]:
    """Return the layout to search multipliers on, ``plain`` or a sampled one, and the number of evaluations."""
    layouts = [(plain, ITERATIONS)]
    if plain.can_be_sampled:
        on_torus = torus_steps(steps, shape, SEARCH_UNITS)
        layouts += [(Layout(steps, shape, on_torus, sampled=n), evaluations) for n, evaluations in SAMPLES]
    for layout, evaluations in layouts:
        if BACKWARD * layout.cost() * evaluations <= flops:
            return layout, evaluations
    layout, _ = layouts[-1]
    affordable = [int(limit / (BACKWARD * layout.cost())) for limit in (flops, FINAL_FLOPS)]
    return layout, max(affordable[0], min(affordable[1], SHORT_SEARCH))


def search_multipliers(layout: Layout, evaluations: int) -> Multipliers:
    """Minimise the bound of ``layout`` over the multipliers by L-BFGS with at most ``evaluations`` evaluations."""
    multipliers = Multipliers(
        [torch.tensor(math.log(gap), dtype=torch.float64, requires_grad=True) for gap in _first_gaps(layout)],
        [torch.zeros(c * n, dtype=torch.float64, requires_grad=True) for c, n in layout.activations],
    )
    parameters = [*multipliers.log_gaps, *multipliers.log_scales]
    best, kept = math.inf, multipliers
    if not parameters or evaluations < 1:
        return multipliers

    def evaluate() -> Tensor:
        nonlocal best, kept
        with torch.enable_grad():
            logarithm = multipliers.square(layout).log()
            gradients = torch.autograd.grad(logarithm, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if float(logarithm.detach()) < best:
            best = float(logarithm.detach())
            kept = Multipliers(*([value.detach().clone() for value in group] for group in multipliers))
        return logarithm.detach()

    optimiser = torch.optim.LBFGS(
        parameters, max_iter=evaluations, max_eval=evaluations, history_size=10, line_search_fn="strong_wolfe"
    )
    # A step that is too long has no value. What was best until then is kept.
    with suppress(LinAlgError):
        optimiser.step(evaluate)  # type: ignore[no-untyped-call]
    return kept


def _first_gaps(layout: Layout) -> list[float]:
    gaps = [FIRST_GAPS["larger stride" if stride > 1 else "stride one"] for stride in layout.strides]
    return [*gaps[:-1], FIRST_GAPS["last"]] if gaps else []


def torus_steps(steps: Sequence[NormalStep], shape: tuple[int, ...], units: int) -> int:
    """Return how many steps run on a torus: until all values from there on have at most ``units`` entries.

    The last of them is a convolution, or the matrix or sum that turns maps into vectors.
    """
    end = next((i + 1 for i, step in enumerate(steps) if isinstance(step, Matrix | SpatialSum)), len(steps))
    if not any(isinstance(step, Convolution) for step in steps[:end]):
        return 0
    sizes = [math.prod(each) for each in shapes(steps, shape)]
    first = next((i for i in range(end + 1) if max(sizes[i : end + 1]) <= units), end)
    while 0 < first < end and not isinstance(steps[first - 1], Convolution):
        first += 1
    return first
