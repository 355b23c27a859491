"""Singular values (σ) of layers: of the reshaped kernel, and by Lanczos of the operator at its true input size."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.layers import (
    AffineLayer,
    affine_layers,
    has_torch_forward,
    input_shapes,
    is_transposed,
    reshaped_weight,
)
from lipschitz.estimation.sigma.batched_host_copies import Algorithm, advance_one_by_one, advance_together
from lipschitz.estimation.sigma.gram_matrix import LARGE, largest_gram_eigenvalue
from lipschitz.estimation.sigma.lanczos import MAX_STEPS, LeadingSingularValue, lanczos
from lipschitz.estimation.sigma.operators import is_affine, operator

LEAST_STEPS = 8
"""Fewest steps of an iteration whose operations are limited."""
RANDOM_SHARE = 0.1
"""Norm of the random vector that is added to a given start of norm one."""


class LayerSigma(NamedTuple):
    """The two largest singular values that describe a layer; both are of its effective weight."""

    reshaped: float
    """Largest singular value of the kernel as a ``(d_out, d_in k k)`` matrix (arXiv:1802.05957, Sec. 2.1).

    NaN for a layer with its own forward method, which may apply another kernel.
    """
    operator: float
    """Largest singular value of the linear operator at its true input size, stride and padding, from below.

    NaN for a layer with its own forward method that is not affine.
    """
    converged: bool = True
    """Whether ``operator`` met its tolerance. If not, it is the value after the largest number of steps."""


@torch.no_grad()
def spectra(layers: Mapping[str, AffineLayer]) -> dict[str, Tensor]:
    """Return by layer all singular values ``(k,)`` of its reshaped effective weight: descending, float64, on the CPU.

    They are the roots of the eigenvalues of the Gram matrix of the smaller side, which is cheaper than the SVD.
    Squaring changes σ₁ by no more than rounding, and a smaller σ by at most about ε σ₁² / (2 σ), ε = 2.2e-16:
    relatively 1e-10 at σ = 1e-3 σ₁, and 1e-4 at 1e-6 σ₁. What comes out below 1e-7 σ₁ may be rounding errors alone.
    """
    return _by_shape(_singular_values, layers)


def effective_rank(values: Tensor) -> float:
    """Return the effective rank of a matrix from its singular values ``(k,)``: exp of the entropy of their shares.

    Roy & Vetterli 2007 (The effective rank: a measure of effective dimensionality, EUSIPCO, pp. 606-610): exp of the
    Shannon entropy of the singular values divided by their sum. It lies between one and the rank, and is k where all
    are equal. For the zero matrix, which the paper leaves undefined, it is zero.
    """
    total = values.sum()
    return float(torch.special.entr(values / total).sum().exp()) if total != 0 else 0.0


@torch.no_grad()
def reshaped_sigmas(layers: Mapping[str, AffineLayer]) -> dict[str, float]:
    """Return by layer σ of its reshaped effective weight, as the root of the largest eigenvalue of a Gram matrix.

    The Gram matrix of the smaller side is used. Its eigenvalues are cheaper than the SVD, and in float64 squaring
    changes the largest singular value by no more than rounding. Of a weight with more than 1,024 rows and columns, it
    is proved to be at most 2e-6 below σ; see `largest_gram_eigenvalue`. Where `spectra` are known, take their first
    values.
    """
    return {name: float(value) for name, value in _by_shape(_largest_singular_value, layers).items()}


def operator_lanczos(
    layer: AffineLayer,
    input_shape: Sequence[int],
    *,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    max_steps: int = MAX_STEPS,
) -> Algorithm[LeadingSingularValue]:
    """Return the Lanczos algorithm on the layer's operator on one sample ``(c, ...)``, in the dtype of its weight.

    Run it without gradients. It starts from a random map that is the same at every call and draws from no given
    generator. If ``start`` is given, such as ``next_start`` of a run on nearly the same weight, that map times
    `RANDOM_SHARE` is added to it: without a random part the iteration could miss a singular vector that became the
    leading one. A ``start`` of another shape is ignored.
    """
    forward, adjoint, like = operator(layer, input_shape)
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(like.shape, generator=rng, dtype=torch.float64, device="cpu").to(like)
    first = first / torch.linalg.vector_norm(first)
    if start is not None and start.shape == first.shape:
        first = start.to(first) + RANDOM_SHARE * first
    return lanczos(forward, adjoint, first, tolerance=tolerance, max_steps=max_steps)


@torch.no_grad()
def layer_sigmas(
    net: nn.Module,
    example: Tensor,
    *,
    tolerance: float = 1e-3,
    starts: dict[str, Tensor] | None = None,
    reshaped: Mapping[str, float] | None = None,
    flops: float = math.inf,
) -> dict[str, LayerSigma]:
    """Measure σ of every affine layer of ``net`` at the input sizes that follow from ``example`` ``(n, ...)``.

    Only effective weights are used, no buffer of any constraint. Pass a float64 network and example. A layer that the
    forward pass does not use is left out. A layer that is used at several sizes is measured at the largest, see
    `input_shapes`.

    Args:
        net: the network.
        example: only its shape is used.
        tolerance: relative, of the operator's σ; see `lipschitz.estimation.sigma.lanczos.leading_singular_value`.
        starts: by layer, the vector from which Lanczos starts; read and then replaced by a start for the next
            measurement. The caller keeps it between measurements: a warm start saves steps on weights that moved
            little.
        reshaped: by layer, σ of the reshaped kernel, if already known, for example from `spectra`; computed if None.
        flops: floating-point operations of all Lanczos iterations together, about. Each layer may take an equal share,
            and what others leave of theirs, but `LEAST_STEPS` steps in any case.
    """
    shapes = input_shapes(net, tuple(example.shape[1:]))
    layers = {name: layer for name, layer in affine_layers(net) if name in shapes}
    reshaped = reshaped_sigmas(layers) if reshaped is None else reshaped
    starts = {} if starts is None else starts
    affine = {name: is_affine(layers[name], shapes[name]) for name in shapes}
    iterated = [name for name in shapes if affine[name] and not _is_its_weight(layers[name])]
    run = advance_one_by_one if all(parameter.is_cpu for parameter in net.parameters()) else advance_together
    limits = _step_limits({name: _step_flops(layers[name], shapes[name]) for name in iterated}, flops)
    found = run(
        operator_lanczos(
            layers[name], shapes[name], tolerance=tolerance, start=starts.get(name), max_steps=limits[name]
        )
        for name in iterated
    )
    # A Linear layer acts on the last axis alone: its operator on all positions has the norm of its weight.
    sigmas = {name: LayerSigma(reshaped[name], reshaped[name] if affine[name] else math.nan) for name in shapes}
    for name, leading in zip(iterated, found, strict=True):
        sigmas[name] = LayerSigma(reshaped[name], leading.sigma, leading.converged)
        starts[name] = leading.next_start
    # A layer with its own forward method may not apply its weight.
    return {
        name: sigma if has_torch_forward(layers[name]) else sigma._replace(reshaped=math.nan)
        for name, sigma in sigmas.items()
    }


def _step_flops(layer: AffineLayer, shape: torch.Size) -> float:
    """Return the floating-point operations of a Lanczos step: the layer's operator and its adjoint, once each."""
    if isinstance(layer, nn.Linear):
        return 4.0 * layer.weight.numel() * math.prod(shape[:-1])
    # Each tap multiplies once for each position of the smaller of the two maps.
    positions = math.prod(shape[1:]) / (1 if is_transposed(layer) else math.prod(layer.stride))
    return 4.0 * layer.weight.numel() * max(positions, 1.0)


def _step_limits(costs: Mapping[str, float], flops: float) -> dict[str, int]:
    """Return by layer the most steps that ``flops`` allow, given what a step costs; see `layer_sigmas`."""
    limits: dict[str, int] = {}
    for name, cost in sorted(costs.items(), key=lambda item: item[1]):
        affordable = flops / (len(costs) - len(limits)) / max(cost, 1.0)
        limits[name] = int(min(max(affordable, LEAST_STEPS), MAX_STEPS))
        flops -= limits[name] * cost
    return limits


def _is_its_weight(layer: AffineLayer) -> bool:
    return isinstance(layer, nn.Linear) and has_torch_forward(layer)


def _singular_values(matrices: Tensor) -> Tensor:
    """Return the singular values of each matrix, ``(b, min(m, n))`` of ``(b, m, n)``, descending."""
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    eigenvalues: Tensor = torch.linalg.eigvalsh(wide @ wide.mT)
    return eigenvalues.flip(-1).clamp_min(0).sqrt()


def _largest_singular_value(matrices: Tensor) -> Tensor:
    """Return the largest singular value of each matrix, ``(b, 1)`` of ``(b, m, n)``."""
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    if wide.shape[1] > LARGE:
        return torch.stack([largest_gram_eigenvalue(matrix) for matrix in wide])[:, None].sqrt()
    return _singular_values(matrices)[:, :1]


def _by_shape(compute: Callable[[Tensor], Tensor], layers: Mapping[str, AffineLayer]) -> dict[str, Tensor]:
    """Apply ``compute``, ``(b, m, n)`` -> ``(b, k)``, to the reshaped effective weights; return ``(k,)`` by layer.

    In float64. Matrices of one shape are stacked, and all results are copied to the CPU in one transfer.
    """
    if not layers:
        return {}
    matrices = {name: reshaped_weight(layer).double() for name, layer in layers.items()}
    names_by_shape: dict[torch.Size, list[str]] = {}
    for name, matrix in matrices.items():
        names_by_shape.setdefault(matrix.shape, []).append(name)
    found: dict[str, Tensor] = {}
    for names in names_by_shape.values():
        first = matrices[names[0]]
        stack = first[None] if len(names) == 1 else torch.stack([matrices[name] for name in names])
        found.update(zip(names, compute(stack), strict=True))
    rows = [found[name] for name in layers]
    values = torch.split(torch.cat(rows).cpu(), [len(row) for row in rows])
    return dict(zip(layers, values, strict=True))
