"""Measure a network: σ of each layer, and a lower and an upper bound of the network's Lipschitz constant."""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.bracket import bound_ratio, ordered_bounds
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import AFFINE, input_shapes, unlisted_weights
from lipschitz.estimation.lower_bound.search import NOTHING, LowerBound, lower_bound
from lipschitz.estimation.measurement_parts import MeasurementParts
from lipschitz.estimation.network_checks import (
    SINGLE_PRECISION,
    accepted_dtype,
    behaviour_of,
    class_name,
    notes_on,
    one_by_one,
    points_like,
)
from lipschitz.estimation.sigma.layer_sigmas import LayerSigma, layer_sigmas
from lipschitz.estimation.upper_bound.composition import UpperBound, upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.estimation.upper_bound.traced_call import LipschitzConstant
from lipschitz.random_streams import stream

NOISE_POINTS = 128
"""Number of noise points from which the search for the lower bound starts if no points are given."""
SEARCH_SHARE = 0.4
"""Share of the operations of a search in a sweep: a classifier on 64x64 is then searched in half a minute."""
FEW_POINTS = 16
"""Number of these for a network that takes one at a time only."""

SHOWN_WEIGHTS = 3
"""Most weights that a reason names."""
FLOPS, CHAIN_FLOPS = 1e11, 2e11
"""Floating-point operations that a thorough search for the upper bound may take, and the limit of the cost of all runs
after the first; see `upper_bound`."""
SIGMA_FLOPS = 3e11
"""Floating-point operations that the iterations for σ of all layers may take: seven seconds of a core."""
BOUND_FLOPS = 1e11
"""Floating-point operations that the upper bound of one layer may take: two seconds of a core."""
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
    """Quotient of two points, see `lipschitz.estimation.lower_bound.search.lower_bound`."""
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

    def __str__(self) -> str:
        """Return a line for each layer, the bracket, and a line for each reason."""
        layers = [
            f"{one.name} ({one.type}): σ of the kernel {one.reshaped:.5g}, of the operator {one.operator:.5g}, "
            f"at most {one.upper:.5g}"
            for one in self.layers
        ]
        bracket = f"{self.lower:.5g} <= Lipschitz constant <= {self.upper:.5g}"
        return "\n".join([*layers, bracket, *(f"- {reason}" for reason in self.reasons)])


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

    A network that runs in float32 only is measured in float32; its layers' certified bounds are still of float64.

    All values are in the Euclidean norm, for the function of one sample x -> net(x), over all inputs.

    Args:
        net: takes ``(n, *shape)`` and returns ``(n, ...)``.
        shape: of one sample, such as ``(3, 32, 32)``.
        points: ``(n, *shape)``, for example data, where the search for the lower bound starts; by default standard
            normal noise.
        seed: of the noise and of the search.
        tolerance: relative, of each layer's ``operator``.
        seconds: limit of the time. What is not finished is NaN for a layer and infinity for the upper bound of the
            network, and named in `Measurement.reasons`. The lower bound is by what the search has found until then.
        progress: is called with the name of each part of the measurement when it starts.

    Raises:
        ValueError: the network does not take such samples, does not return one finite output for each of them that can
            be differentiated, or has a weight without a value: not finite, empty, not real, or not initialised.
    """
    rng, parts = stream(seed, "measure"), MeasurementParts(progress, seconds)
    if points is None:
        points = torch.randn((NOISE_POINTS, *shape), generator=rng, dtype=torch.float64)
    dtype = accepted_dtype(net, shape, points)
    reasons = [] if dtype == torch.float64 else [SINGLE_PRECISION]
    with float64_copy(net, dtype) as twin:
        points = points_like(twin, points, dtype)
        behaviour = behaviour_of(twin, points)
        reasons += notes_on(twin, behaviour)
        found = parts.run(
            "σ of the layers", 0.3, lambda: layer_sigmas(twin, points, tolerance=tolerance, flops=SIGMA_FLOPS)
        )
        sigmas, shapes = found or {}, input_shapes(twin, shape)
        reshaped = {name: sigma.reshaped for name, sigma in sigmas.items()}
        # Certified bounds are computed in float64 whatever the network takes.
        wide = twin if dtype == torch.float64 else copy.deepcopy(twin).double()
        bounds = parts.run(
            "upper bounds of the layers", 0.6, lambda: layer_bounds(wide, shapes, reshaped, flops=BOUND_FLOPS)
        )
        layers = []
        for name in shapes:
            sigma, bound = sigmas.get(name, UNMEASURED), UNBOUNDED if bounds is None else bounds[name]
            layers.append(MeasuredLayer(name, class_name(twin.get_submodule(name)), *sigma[:2], bound.constant))
            if name in sigmas and math.isnan(sigma.operator):
                reasons.append(f"σ of '{name}' is not measured: its own forward method is not affine")
            if not sigma.converged:
                reasons.append(f"σ of '{name}' as an operator did not converge to the tolerance")
        reasons += _unlisted(twin)
        upper, steepest = UpperBound(math.inf, []), NOTHING
        if bounds is not None and behaviour != "changes":
            operators = bounds.operators
            upper = (
                parts.run("upper end", 0.7, lambda: upper_bound(twin, shape, operators, flops=FLOPS, total=CHAIN_FLOPS))
                or upper
            )
        if behaviour != "changes":
            mixes = behaviour == "mixes samples"
            searched, starts = (one_by_one(twin), points[:FEW_POINTS]) if mixes else (twin, points)
            interrupted: list[Callable[[], LowerBound]] = []
            found_slope = parts.run(
                "search for the lower end",
                0.85,
                lambda: lower_bound(searched, starts, rng, share=SEARCH_SHARE, keep=interrupted.append),
                lost="not finished",
            )
            if found_slope is None and interrupted:
                found_slope = parts.run("confirmation of the lower end", 1.0, interrupted[0])
            steepest = found_slope or NOTHING
    lower, at_most, note = ordered_bounds(steepest.value, upper.constant)
    reasons += [*parts.notes, *filter(None, (steepest.note, note))]
    return Measurement(tuple(layers), lower, at_most, (*upper.reasons, *reasons), upper.product)


def _unlisted(net: nn.Module) -> list[str]:
    unlisted = unlisted_weights(net)
    if not unlisted:
        return []
    names = ", ".join(f"'{name}'" for name in unlisted[:SHOWN_WEIGHTS])
    more = f" and {len(unlisted) - SHOWN_WEIGHTS} more" if len(unlisted) > SHOWN_WEIGHTS else ""
    kinds = ", ".join(kind.__name__ for kind in AFFINE)
    return [f"σ of {names}{more} is not listed: listed are layers of the types {kinds}"]
