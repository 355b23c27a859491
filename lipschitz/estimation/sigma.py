"""σ of a layer: of the reshaped kernel, and of the operator that the layer truly applies."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.lanczos import Leading, leading
from lipschitz.estimation.layers import WeightedLayer, input_shapes, reshaped_weight
from lipschitz.estimation.operators import operator

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
def spectrum(layer: WeightedLayer) -> Tensor:
    """Return all singular values of the layer's reshaped effective weight, descending, float64."""
    values: Tensor = torch.linalg.svdvals(reshaped_weight(layer).double())
    return values


def effective_rank(values: Tensor) -> float:
    """Return exp of the Shannon entropy of the singular values ``(k,)`` divided by their sum.

    Roy & Vetterli 2007 (The effective rank: a measure of effective dimensionality, EUSIPCO, pp. 606-610). Between one
    and the rank; k where all are equal. Of the zero matrix, which they leave out, it is zero.
    """
    total = values.sum()
    return float(torch.special.entr(values / total).sum().exp()) if total != 0 else 0.0


@torch.no_grad()
def reshaped_sigma(layer: WeightedLayer) -> float:
    """Return σ of the layer's reshaped effective weight, by the largest eigenvalue of its smaller Gram matrix.

    In float64 the square costs the largest singular value no more than rounding, and an eigenvalue problem of the
    smaller side is up to ten times cheaper than the SVD.
    """
    matrix = reshaped_weight(layer).double()
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return float(torch.linalg.eigvalsh(gram)[-1].clamp_min(0).sqrt())


@torch.no_grad()
def leading_maps(
    layer: WeightedLayer, input_shape: Sequence[int], *, tolerance: float = 1e-3, kept: Tensor | None = None
) -> Leading:
    """Run the Lanczos process on the layer's operator on one sample ``(c, ...)``, in the dtype of its weight.

    It starts from a random map, the same at every call, which touches no generator; or from what an earlier run on
    nearly the same weight kept, mixed with that map: a start without a random part could miss a singular vector that
    became the leading one. ``kept`` of another shape is passed over.
    """
    forward, adjoint, like = operator(layer, input_shape)
    rng = torch.Generator().manual_seed(0)
    start = torch.randn(like.shape, generator=rng, dtype=torch.float64, device="cpu").to(like)
    start = start / torch.linalg.vector_norm(start)
    if kept is not None and kept.shape == start.shape:
        start = kept.to(start) + FRESH * start
    return leading(forward, adjoint, start, tolerance=tolerance)


def operator_sigma(layer: WeightedLayer, input_shape: Sequence[int], *, tolerance: float = 1e-3) -> float:
    """Return σ of the layer's operator on one sample ``(c, ...)``, from below, to the relative ``tolerance``.

    What the tolerance guarantees is said in `lipschitz.estimation.lanczos.leading`. Works in the dtype of the layer's
    weight: pass a float64 layer for a float64 measurement.
    """
    if isinstance(layer, nn.Linear):
        # A Linear layer acts on the last axis alone: its operator on all positions has the norm of one.
        return reshaped_sigma(layer)
    return leading_maps(layer, input_shape, tolerance=tolerance).sigma


def layer_sigmas(
    net: nn.Module, example: Tensor, *, tolerance: float = 1e-3, starts: dict[str, Tensor] | None = None
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
    """
    sigmas = {}
    for name, shape in input_shapes(net, tuple(example.shape[1:])).items():
        layer = net.get_submodule(name)
        assert isinstance(layer, WeightedLayer)
        reshaped = reshaped_sigma(layer)
        if isinstance(layer, nn.Linear):
            sigmas[name] = LayerSigma(reshaped, reshaped)
            continue
        found = leading_maps(layer, shape, tolerance=tolerance, kept=None if starts is None else starts.get(name))
        if starts is not None:
            starts[name] = found.kept
        sigmas[name] = LayerSigma(reshaped, found.sigma, found.converged)
    return sigmas
