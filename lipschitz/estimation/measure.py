"""Measure a network: σ of each layer, and a lower and an upper bound of the network's Lipschitz constant."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.errors import first_line
from lipschitz.estimation.bracket import bound_ratio, ordered_bounds
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import WEIGHTED, input_shapes, unlisted_weights, weighted_layers
from lipschitz.estimation.lower_bound.gradient_norms import Network
from lipschitz.estimation.lower_bound.search import NOTHING, lower_bound
from lipschitz.estimation.measurement_parts import MeasurementParts
from lipschitz.estimation.sigma.layer_sigmas import LayerSigma, layer_sigmas
from lipschitz.estimation.upper_bound.composition import UpperBound, upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.estimation.upper_bound.traced_call import LipschitzConstant
from lipschitz.random_streams import stream

NOISE_POINTS = 32
"""Number of noise points from which the search for the lower bound starts if no points are given."""

SHOWN_WEIGHTS = 3
"""Most weights that a reason names."""
FLOPS = 1e11
"""Floating-point operations that a thorough search for the upper bound may take; see `upper_bound`."""
UNMEASURED, UNBOUNDED = LayerSigma(math.nan, math.nan), LipschitzConstant(math.nan)
"""What stands for values of a layer that were not finished in time."""


class MeasuredLayer(NamedTuple):
    """Singular values of a weighted layer at the input size that it has in the network."""

    name: str
    type: str
    """torch's name of its class."""
    reshaped: float
    """σ of the kernel as a ``(d_out, d_in k k)`` matrix; in general neither a lower nor an upper bound of the next."""
    operator: float
    """σ of the operator that the layer applies, from below."""
    upper: float
    """A certified upper bound of ``operator``; infinite if none is known."""


class Measurement(NamedTuple):
    """The layers of a network in order of definition, and lower <= Lipschitz constant <= upper."""

    layers: tuple[MeasuredLayer, ...]
    lower: float
    """Lower bound by gradient ascent, see `lipschitz.estimation.lower_bound.gradient_ascent.lower_bound`."""
    upper: float
    """Certified upper bound, see `lipschitz.estimation.upper_bound.composition.upper_bound`."""
    reasons: tuple[str, ...]
    """Why ``upper`` is infinite, and the conditions under which the values hold."""
    product: float = math.inf
    """The upper bound that is composed of the constants of single operators; at least ``upper``."""

    @property
    def ratio(self) -> float:
        """``upper / lower``, see `bound_ratio`."""
        return bound_ratio(self.lower, self.upper)


def measure(
    net: nn.Module,
    shape: tuple[int, ...],
    points: Tensor | None = None,
    *,
    seed: int = 0,
    tolerance: float = 1e-3,
    seconds: float | None = None,
    progress: Callable[[str], object] = lambda part: None,
) -> Measurement:
    """Measure a copy of ``net`` in float64 and eval mode; the network and torch's generators are not changed.

    All values are in the Euclidean norm, for the function of one sample x -> net(x), over all inputs.

    Args:
        net: takes ``(n, *shape)`` and returns ``(n, ...)``.
        shape: of one sample, such as ``(3, 32, 32)``.
        points: ``(n, *shape)``, for example data, where the search for the lower bound starts; by default standard
            normal noise.
        seed: of the noise and of the search.
        tolerance: relative, of each layer's ``operator``.
        seconds: limit of the time. What is not finished is NaN for a layer, zero for the lower and infinity for the
            upper bound of the network, and named in `Measurement.reasons`.
        progress: is called with the name of each part of the measurement when it starts.

    Raises:
        ValueError: the network does not take such samples, does not return one finite output for each of them that can
            be differentiated, or has a weight without a value: not finite, empty, not real, or not initialised.
    """
    rng, parts = stream(seed, "measure"), MeasurementParts(progress, seconds)
    if points is None:
        points = torch.randn((NOISE_POINTS, *shape), generator=rng, dtype=torch.float64)
    with float64_copy(net) as twin:
        like = next(twin.parameters(), torch.empty(0, dtype=torch.float64))
        points = points.detach().to(like)
        _check(twin, shape, points)
        reasons = []
        found = parts.run("σ of the layers", 0.3, lambda: layer_sigmas(twin, points, tolerance=tolerance))
        sigmas, shapes = found or {}, input_shapes(twin, shape)
        reshaped = {name: sigma.reshaped for name, sigma in sigmas.items()}
        bounds = parts.run("upper bounds of the layers", 0.6, lambda: layer_bounds(twin, shapes, reshaped))
        layers = []
        for name in shapes:
            sigma, bound = sigmas.get(name, UNMEASURED), UNBOUNDED if bounds is None else bounds[name]
            kind = _class_name(twin.get_submodule(name))
            layers.append(MeasuredLayer(name, kind, *sigma[:2], bound.constant))
            if name in sigmas and math.isnan(sigma.operator):
                reasons.append(f"σ of '{name}' is not measured: its own forward method is not affine")
            if not sigma.converged:
                reasons.append(f"σ of '{name}' as an operator did not converge to the tolerance")
        if unlisted := unlisted_weights(twin):
            names = ", ".join(f"'{name}'" for name in unlisted[:SHOWN_WEIGHTS])
            more = f" and {len(unlisted) - SHOWN_WEIGHTS} more" if len(unlisted) > SHOWN_WEIGHTS else ""
            kinds = ", ".join(kind.__name__ for kind in WEIGHTED)
            reasons.append(f"σ of {names}{more} is not listed: listed are layers of the types {kinds}")
        upper = UpperBound(math.inf, [])
        if bounds is not None:
            operators = bounds.operators
            upper = parts.run("upper end", 0.7, lambda: upper_bound(twin, shape, operators, flops=FLOPS)) or upper
        searched: Network = twin
        if _mixes_samples(twin, points):
            reasons.append("the network mixes the samples of a batch: measured as a function of a batch of one")
            searched = _one_by_one(twin)
        steepest = parts.run("search for the lower end", 1.0, lambda: lower_bound(searched, points, rng)) or NOTHING
    lower, at_most, note = ordered_bounds(steepest.value, upper.constant)
    reasons += [*parts.notes, *filter(None, (steepest.note, note))]
    return Measurement(tuple(layers), lower, at_most, (*upper.reasons, *reasons), upper.product)


def _check(net: nn.Module, shape: tuple[int, ...], points: Tensor) -> None:
    """Raise ValueError unless ``net`` returns one output for each sample; the error names the first layer."""
    if 0 in (shape or (0,)):
        raise ValueError(f"expected the shape of a sample, one or more positive sizes, got {shape}")
    if not len(points) or points.shape[1:] != shape:
        sizes = ", ".join(map(str, shape))
        raise ValueError(f"expected points of shape (n, {sizes}) with n > 0, got {tuple(points.shape)}")
    try:
        with torch.no_grad():
            outputs = net(points[:1].repeat(2, *[1] * len(shape)))
    except Exception as error:
        first = next(((name, layer) for name, layer in weighted_layers(net)), None)
        hint = f"; its first layer is '{first[0]}', {_class_name(first[1])}({first[1].extra_repr()})" if first else ""
        raise ValueError(f"the network does not take samples of shape {shape}: {first_line(error)}{hint}") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"expected the network to return one tensor, got {type(outputs).__name__}")
    if outputs.dim() == 0 or len(outputs) != 2:
        raise ValueError(f"expected the network to return (2, ...) for two samples, got {tuple(outputs.shape)}")
    if not outputs.dtype.is_floating_point or not outputs.numel():
        kind = str(outputs.dtype).removeprefix("torch.")
        raise ValueError(f"expected the network to return real numbers, got {kind} of shape {tuple(outputs.shape)}")
    if not torch.isfinite(outputs).all():
        raise ValueError("the network returns NaN or infinity for the first of the points: it cannot be measured")


def _class_name(layer: nn.Module) -> str:
    return next(kind.__name__ for kind in WEIGHTED if isinstance(layer, kind))


def _mixes_samples(net: Network, points: Tensor) -> bool:
    """Say whether the output for one sample depends on the other samples of its batch or on their number."""
    with torch.enable_grad():
        two = torch.cat([points[:1], points[-1:]]).requires_grad_()
        output = net(two.clone())[:1]
        if not output.requires_grad:
            raise ValueError("the network's output cannot be differentiated by its input: it cannot be measured")
        (gradients,) = torch.autograd.grad(output.sum(), two, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        alone = net(points[:1].clone())
    return bool(gradients[1].any()) or not torch.allclose(output.detach(), alone, rtol=1e-6, equal_nan=True)


def _one_by_one(net: Network) -> Network:
    return lambda points: torch.cat([net(point) for point in torch.split(points, 1)])
