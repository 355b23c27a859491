"""Anyone's network: σ of each layer, and a bracket of the network's Lipschitz constant."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.bracket import in_order, ratio
from lipschitz.estimation.float64_copy import exact
from lipschitz.estimation.layers import WEIGHTED, input_shapes, weighted_layers
from lipschitz.estimation.lower_bound.gradient_ascent import lower_bound
from lipschitz.estimation.lower_bound.gradient_norms import Network
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.fx_tracer import one_line
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.streams import stream

POINTS = 32
"""Points of noise from which the search for a lower bound starts, where none are given."""


class MeasuredLayer(NamedTuple):
    """What was measured of a weighted layer, at the size that the network gives it."""

    name: str
    type: str
    """torch's name of its class."""
    reshaped: float
    """σ of the kernel as a ``(d_out, d_in k k)`` matrix: a bound of nothing in general."""
    operator: float
    """σ of the operator that the layer applies, from below."""
    upper: float
    """A certified upper bound of that; infinite where none is known."""


class Measurement(NamedTuple):
    """The layers of a network in order of definition, and lower <= Lipschitz constant <= upper."""

    layers: tuple[MeasuredLayer, ...]
    lower: float
    """The largest slope found, see `lipschitz.estimation.lower_bound.gradient_ascent.lower_bound`."""
    upper: float
    """Composed over the network's graph, see `lipschitz.estimation.upper_bound.composition.upper_bound`."""
    reasons: tuple[str, ...]
    """Why ``upper`` is infinite, and what the values take for granted."""

    @property
    def ratio(self) -> float:
        """How many times ``upper`` is ``lower``: one where the constant is known, infinite where nothing is."""
        return ratio(self.lower, self.upper)


def measure(
    net: nn.Module, shape: tuple[int, ...], points: Tensor | None = None, *, seed: int = 0, tolerance: float = 1e-3
) -> Measurement:
    """Measure a copy of ``net`` in float64 and eval mode; the network and torch's generators are left alone.

    Everything is in the Euclidean norm, of one sample x -> net(x), over all inputs, not only ``points``.

    Args:
        net: takes ``(n, *shape)`` and returns ``(n, ...)``.
        shape: of one sample, such as ``(3, 32, 32)``.
        points: ``(n, *shape)`` where the search for the lower bound starts, such as data; standard normal noise where
            none are given.
        seed: of the noise and of the search.
        tolerance: relative, of each layer's ``operator``.

    Raises:
        ValueError: the network does not take such samples or does not return one output for each, or it holds a
            parameter or buffer that is not finite.
    """
    rng = stream(seed, "measure")
    if points is None:
        points = torch.randn((POINTS, *shape), generator=rng, dtype=torch.float64)
    with exact(net) as twin:
        like = next(twin.parameters(), torch.empty(0, dtype=torch.float64))
        points = points.detach().to(like)
        _check(twin, shape, points)
        reasons = []
        sigmas = layer_sigmas(twin, points, tolerance=tolerance)
        bounds = layer_bounds(twin, input_shapes(twin, shape))
        layers = []
        for name, sigma in sigmas.items():
            layers.append(MeasuredLayer(name, _kind(twin.get_submodule(name)), *sigma[:2], bounds[name].constant))
            if not sigma.converged:
                reasons.append(f"σ of '{name}' as an operator is what was found before the tolerance was met")
        upper = upper_bound(twin, shape, bounds)
        if _mixes_samples(twin, points):
            reasons.append("it mixes the samples of a batch: measured as a function of a batch of one")
            lower = lower_bound(_one_by_one(twin), points, rng)
        else:
            lower = lower_bound(twin, points, rng)
    lower, at_most, said = in_order(lower, upper.constant)
    return Measurement(tuple(layers), lower, at_most, (*upper.reasons, *reasons, *([said] if said else [])))


def _check(net: nn.Module, shape: tuple[int, ...], points: Tensor) -> None:
    """Raise ValueError, saying what the first layer takes, unless ``net`` makes one output of each sample."""
    if not len(points) or points.shape[1:] != shape:
        raise ValueError(f"points of shape {tuple(points.shape)}; allowed: (n, {', '.join(map(str, shape))}), n > 0")
    try:
        with torch.no_grad():
            outputs = net(points[:1].repeat(2, *[1] * len(shape)))
    except Exception as error:
        first = next(((name, layer) for name, layer in weighted_layers(net)), None)
        said = f"; its first layer is '{first[0]}', {_kind(first[1])}({first[1].extra_repr()})" if first else ""
        raise ValueError(f"the network does not take samples of shape {shape}: {one_line(error)}{said}") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the network returns a {type(outputs).__name__}; allowed: one tensor")
    if outputs.dim() == 0 or len(outputs) != 2:
        raise ValueError(f"the network returns {tuple(outputs.shape)} for two samples; allowed: (2, ...)")


def _kind(layer: nn.Module) -> str:
    return next(kind.__name__ for kind in WEIGHTED if isinstance(layer, kind))


def _mixes_samples(net: Network, points: Tensor) -> bool:
    """Say whether the output for one sample changes with another of its batch, or with there being one."""
    with torch.enable_grad():
        two = torch.cat([points[:1], points[-1:]]).requires_grad_()
        output = net(two.clone())[:1]
        (gradients,) = torch.autograd.grad(output.sum(), two, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        alone = net(points[:1].clone())
    return bool(gradients[1].any()) or not torch.allclose(output.detach(), alone, rtol=1e-6, equal_nan=True)


def _one_by_one(net: Network) -> Network:
    return lambda points: torch.cat([net(point) for point in torch.split(points, 1)])
