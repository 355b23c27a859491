"""Spectral complexity of a network (Bartlett et al. 2017, arXiv:1706.08498), with reshaped and with operator norms."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from lipschitz.estimation.circular_convolution import on_circle
from lipschitz.estimation.layers import AffineLayer, affine_layers, as_matrix, input_shapes, is_transposed
from lipschitz.estimation.upper_bound.polyphase import layer_kernel


class RowNormSums(NamedTuple):
    """The (2, 1) norm ‖(A - M)ᵀ‖ of a layer: the sum of the Euclidean norms of the rows of A - M."""

    reshaped: float
    """Of the kernel as a ``(d_out, d_in k k)`` matrix."""
    operator: float
    """Of the linear map that the layer applies, which has a row for each output channel and position."""


def spectral_complexity(sigmas: Sequence[float], row_norms: Sequence[float]) -> float:
    """Return Π σ_i (Σ (b_i / σ_i)^(2/3))^(3/2), eq. 1.2, for layers with norms σ_i and (2, 1) norms b_i.

    Activations and pooling count as 1-Lipschitz, and the network as a chain of its layers. Batch normalization has to
    be folded into them before, see `lipschitz.estimation.batch_norm_folding`: its scale is part of the network.

    Raises:
        ValueError: there are no layers, or not as many of one as of the other.
    """
    if not sigmas or len(sigmas) != len(row_norms):
        raise ValueError(f"{len(sigmas)} norms and {len(row_norms)} sums of rows; expected one of each for each layer")
    # Without a division, since a layer may be zero.
    terms = [b * math.prod((*sigmas[:i], *sigmas[i + 1 :])) for i, b in enumerate(row_norms)]
    total: float = math.fsum(term ** (2 / 3) for term in terms) ** 1.5
    return total


@torch.no_grad()
def row_norm_sums(net: nn.Module, shape: tuple[int, ...], start: nn.Module | None = None) -> dict[str, RowNormSums]:
    """Return the (2, 1) norms of the affine layers of ``net`` by name, in order of definition.

    Args:
        net: in float64; effective weights count.
        shape: of one sample, which gives the input sizes of the layers.
        start: a network of the same architecture whose weights are the reference M, such as the initial one; None for
            M = 0.

    Raises:
        ValueError: a convolution has a padding mode other than zeros and circular.
    """
    shapes = input_shapes(net, shape)
    references = {} if start is None else dict(affine_layers(start))
    return {
        name: _row_norm_sums(layer, shapes[name], references.get(name))
        for name, layer in affine_layers(net)
        if name in shapes
    }


def _row_norm_sums(layer: AffineLayer, shape: torch.Size, reference: AffineLayer | None) -> RowNormSums:
    weight = layer.weight.double() if reference is None else layer.weight.double() - reference.weight.double()
    reshaped = float(torch.linalg.vector_norm(as_matrix(weight, is_transposed(layer)), dim=1).sum())
    if isinstance(layer, nn.Linear):
        # It acts on the last axis alone, once for each position before it.
        return RowNormSums(reshaped, reshaped * math.prod(shape[:-1]))
    if layer.padding_mode == "circular":
        outputs = layer(weight.new_zeros((1, *shape)))[0, 0].numel()
        rows = torch.linalg.vector_norm(on_circle(weight, shape[1:], layer.dilation).flatten(1), dim=1)
        return RowNormSums(reshaped, outputs * float(rows.sum()))
    # The squared norm of a row is the sum of the squared taps that lie inside the image there.
    squares = replace(layer_kernel(layer), weight=weight.square()).apply(weight.new_ones((1, *shape)))
    return RowNormSums(reshaped, float(squares.sqrt().sum()))
