"""σ of a layer: of the reshaped kernel, and of the operator that the layer truly applies."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.layers import WeightedLayer, input_shapes, reshaped_weight, weighted_layers
from lipschitz.estimation.sigma.batched_host_copies import Process, in_turn, together
from lipschitz.estimation.sigma.lanczos import Leading, lanczos
from lipschitz.estimation.sigma.operators import operator

FRESH = 0.1
"""Size of the random vector that is mixed into a kept start of norm one."""


class LayerSigma(NamedTuple):
    """What was measured of one layer; both values are for its effective weight, in the weight's units."""

    reshaped: float
    """Largest singular value of the kernel as a ``(d_out, d_in k k)`` matrix (arXiv:1802.05957, Sec. 2.1)."""
    operator: float
    """Largest singular value of the linear operator at its true input size, stride and padding."""
    converged: bool = True
    """Whether ``operator`` met its tolerance; otherwise it is what the largest number of steps had found."""


@torch.no_grad()
def spectra(layers: Mapping[str, WeightedLayer]) -> dict[str, Tensor]:
    """Return by layer all singular values of its reshaped effective weight, descending, float64, on the CPU."""
    return _by_shape(_singular_values, layers)


def spectrum(layer: WeightedLayer) -> Tensor:
    """Return the `spectra` of one layer."""
    return spectra({"": layer})[""]


def effective_rank(values: Tensor) -> float:
    """Return exp of the Shannon entropy of the singular values ``(k,)`` divided by their sum.

    Roy & Vetterli 2007 (The effective rank: a measure of effective dimensionality, EUSIPCO, pp. 606-610). Between one
    and the rank; k where all are equal. Of the zero matrix, which they leave out, it is zero.
    """
    total = values.sum()
    return float(torch.special.entr(values / total).sum().exp()) if total != 0 else 0.0


@torch.no_grad()
def reshaped_sigmas(layers: Mapping[str, WeightedLayer]) -> dict[str, float]:
    """Return by layer σ of its reshaped effective weight, from the largest eigenvalue of the smaller Gram matrix.

    In float64 the square costs the largest singular value no more than rounding, and an eigenvalue problem of the
    smaller side is cheaper than the SVD; where the spectrum is known, its first value is cheaper still.
    """
    return {name: float(value) for name, value in _by_shape(_largest, layers).items()}


def reshaped_sigma(layer: WeightedLayer) -> float:
    """Return the `reshaped_sigmas` of one layer."""
    return reshaped_sigmas({"": layer})[""]


@torch.no_grad()
def operator_sigma(layer: WeightedLayer, input_shape: Sequence[int], *, tolerance: float = 1e-3) -> float:
    """Return σ of the layer's operator on one sample ``(c, ...)``, from below, to the relative ``tolerance``.

    For the tolerance see `lipschitz.estimation.sigma.lanczos.leading`. Works in the dtype of the layer's weight:
    pass a float64 layer for a float64 measurement.
    """
    if isinstance(layer, nn.Linear):
        # A Linear layer acts on the last axis alone: its operator on all positions has the norm of one.
        return reshaped_sigma(layer)
    (found,) = in_turn([leading_maps(layer, input_shape, tolerance=tolerance)])
    return found.sigma


def leading_maps(
    layer: WeightedLayer, input_shape: Sequence[int], *, tolerance: float = 1e-3, kept: Tensor | None = None
) -> Process[Leading]:
    """Return the Lanczos process on the layer's operator on one sample ``(c, ...)``, in the dtype of its weight.

    To be run without gradients. It starts from a random map, the same at every call, which touches no generator; or
    from what an earlier run on nearly the same weight kept, mixed with that map: a start without a random part could
    miss a singular vector that became the leading one. ``kept`` of another shape is passed over.
    """
    forward, adjoint, like = operator(layer, input_shape)
    rng = torch.Generator().manual_seed(0)
    start = torch.randn(like.shape, generator=rng, dtype=torch.float64, device="cpu").to(like)
    start = start / torch.linalg.vector_norm(start)
    if kept is not None and kept.shape == start.shape:
        start = kept.to(start) + FRESH * start
    return lanczos(forward, adjoint, start, tolerance=tolerance)


@torch.no_grad()
def layer_sigmas(
    net: nn.Module,
    example: Tensor,
    *,
    tolerance: float = 1e-3,
    starts: dict[str, Tensor] | None = None,
    reshaped: Mapping[str, float] | None = None,
) -> dict[str, LayerSigma]:
    """Measure σ of every weighted layer of ``net`` as it stands when ``net`` is given ``example`` ``(n, ...)``.

    No buffer of any method is read: the effective weight alone decides. Pass a float64 network and example. A layer
    that the forward pass does not use is left out; one that it uses at several sizes is measured at the largest, see
    `input_shapes`.

    Args:
        net: the network.
        example: only its shape is looked at.
        tolerance: relative, of the operator's σ.
        starts: a map by layer from which the Lanczos process starts, kept by the caller from one measurement to the
            next; read where there is one, and replaced. It saves steps on weights that moved little.
        reshaped: σ of the reshaped kernels by layer, where it is known, as from `spectra`; computed by default.
    """
    shapes = input_shapes(net, tuple(example.shape[1:]))
    layers = {name: layer for name, layer in weighted_layers(net) if name in shapes}
    reshaped = reshaped_sigmas(layers) if reshaped is None else reshaped
    kept = {} if starts is None else starts
    convolutions = [name for name in shapes if not isinstance(layers[name], nn.Linear)]
    run = in_turn if all(parameter.is_cpu for parameter in net.parameters()) else together
    found = run(
        leading_maps(layers[name], shapes[name], tolerance=tolerance, kept=kept.get(name)) for name in convolutions
    )
    sigmas = {name: LayerSigma(reshaped[name], reshaped[name]) for name in shapes}
    for name, leading in zip(convolutions, found, strict=True):
        sigmas[name] = LayerSigma(reshaped[name], leading.sigma, leading.converged)
        kept[name] = leading.kept
    return sigmas


def _singular_values(matrices: Tensor) -> Tensor:
    """Return the singular values of each matrix, ``(b, min(m, n))`` of ``(b, m, n)``, descending."""
    # LAPACK is up to five times faster on a tall matrix than on its transpose.
    values: Tensor = torch.linalg.svdvals(matrices if matrices.shape[1] >= matrices.shape[2] else matrices.mT)
    return values


def _largest(matrices: Tensor) -> Tensor:
    """Return the largest singular value of each matrix, ``(b, 1)`` of ``(b, m, n)``."""
    grams = matrices @ matrices.mT if matrices.shape[1] <= matrices.shape[2] else matrices.mT @ matrices
    eigenvalues: Tensor = torch.linalg.eigvalsh(grams)
    return eigenvalues[:, -1:].clamp_min(0).sqrt()


def _by_shape(compute: Callable[[Tensor], Tensor], layers: Mapping[str, WeightedLayer]) -> dict[str, Tensor]:
    """Return ``compute``, which makes ``(b, k)`` of ``(b, m, n)``, of each layer's reshaped effective weight, ``(k,)``.

    In float64; matrices of one shape are stacked, and the results of all shapes brought to the CPU in one transfer.
    """
    if not layers:
        return {}
    matrices = {name: reshaped_weight(layer).double() for name, layer in layers.items()}
    alike: dict[torch.Size, list[str]] = {}
    for name, matrix in matrices.items():
        alike.setdefault(matrix.shape, []).append(name)
    found: dict[str, Tensor] = {}
    for names in alike.values():
        found.update(zip(names, compute(torch.stack([matrices[name] for name in names])), strict=True))
    rows = [found[name] for name in layers]
    values = torch.split(torch.cat(rows).cpu(), [len(row) for row in rows])
    return dict(zip(layers, values, strict=True))
