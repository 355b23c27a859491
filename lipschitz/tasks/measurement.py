"""Measurement of a discriminator: σ of its layers, a bracket of its Lipschitz constant, norms of its gradients."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.exact.constant import exact_constant
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes, weighted_layers
from lipschitz.estimation.lower_bound.gradient_ascent import ROUNDING_MARGIN, lower_bound
from lipschitz.estimation.lower_bound.gradient_norms import gradient_norms
from lipschitz.estimation.measure import bound_ratio, ordered_bounds
from lipschitz.estimation.sigma.layer_sigmas import effective_rank, layer_sigmas, spectra
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds

CONTRADICTION = 1e-6
"""An exact constant that is outside of the bracket by more than this, relatively, is not recorded."""
SEARCHED_FROM = ("real", "fake", "interpolated")
"""Places at whose points the search for ``lipschitz_lower`` starts."""


class DiscriminatorMeasurement(NamedTuple):
    """The result of `measure_discriminator`."""

    values: dict[str, float]
    """Values by metric name."""
    spectra: dict[str, Tensor]
    """All singular values of each layer's reshaped kernel, descending, float64, on the CPU."""
    starts: dict[str, Tensor]
    """By layer, the vectors from which the next search for its σ should start."""
    facts: dict[str, Any]
    """What the values take for granted; strings and lists of them, and only where there is something to say.

    ``unconverged``: layers whose σ as an operator did not reach its tolerance. ``upper_reasons``: why the upper bound
    is infinite, or the conditions under which it holds. ``upper_method``: which bound it is. ``no_exact``: why there is
    no exact Lipschitz constant.
    """


def measure_discriminator(
    net: nn.Module,
    places: Mapping[str, Tensor],
    starts: Mapping[str, Tensor] | None = None,
    rng: torch.Generator | None = None,
    labels: Tensor | None = None,
) -> DiscriminatorMeasurement:
    """Measure a copy of ``net`` in float64 and eval mode; the network itself is unchanged.

    Args:
        net: the discriminator, ``(n, ...)`` -> ``(n, 1)``.
        places: points ``(n, ...)`` by the name of the place; those of `SEARCHED_FROM` are required.
        starts: `Measured.starts` of an earlier measurement.
        rng: random numbers of the search for the lower bound, on the CPU; by default seeded by zero.
        labels: int64 ``(n,)``, the classes of the points of every place, row by row, for a conditional network. The
            bracket is then that of x -> D(x, y) for the worst class y: the search takes the class of the steepest
            point, and the upper bound holds for every class, by σ of the whole embedding table.

    Returns:
        Values ``sigma_reshaped/<layer>``, ``sigma_operator/<layer>``, ``sigma_upper/<layer>``,
        ``effective_rank/<layer>``, ``gradient_norm/<place>`` (mean), ``gradient_norm_max/<place>``,
        ``lipschitz_lower``, ``lipschitz_upper``, ``lipschitz_upper_product`` and ``lipschitz_ratio``.
    """
    with float64_copy(net) as twin:
        points = {place: where.double() for place, where in places.items()}
        layers, spectra, kept, unconverged = _layers(twin, points["real"], dict(starts or {}))
        search = rng or torch.Generator().manual_seed(0)
        values, facts = _network(twin, points, search, labels)
        facts = ({"unconverged": unconverged} if unconverged else {}) | facts
        return DiscriminatorMeasurement(layers | values, spectra, kept, facts)


def with_exact_constant(
    measured: DiscriminatorMeasurement, net: nn.Module, shape: tuple[int, ...]
) -> tuple[DiscriminatorMeasurement, dict[str, float]]:
    """Return the measurement of ``net`` with ``lipschitz_exact``, or with the fact why there is none; and that value.

    See `lipschitz.estimation.exact.constant.exact_constant`.

    Args:
        measured: the result of `measure_discriminator` for ``net``.
        net: the discriminator, ``(n, *shape)`` -> ``(n, 1)``.
        shape: of one sample.
    """
    with float64_copy(net) as twin:
        exact = exact_constant(twin, shape)
    lower, upper = (measured.values.get(f"lipschitz_{bound}", math.nan) for bound in ("lower", "upper"))
    reason = exact.reason
    if lower > exact.constant * (1 + CONTRADICTION) or exact.constant > upper * (1 + CONTRADICTION):
        reason = f"found {exact.constant:.6g}, outside of the bracket from {lower:.6g} to {upper:.6g}"
    if reason:
        return measured._replace(facts=measured.facts | {"no_exact": reason}), {}
    values = {"lipschitz_exact": exact.constant}
    return measured._replace(values=measured.values | values), values


def append_spectra(spectra: Mapping[str, Tensor], row: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``spectra``, by layer ``(evaluations, k)`` float32, with the values ``(k,)`` of one more evaluation."""
    rows = {name: values.float().cpu()[None] for name, values in row.items()}
    return {name: torch.cat([spectra[name], last]) if name in spectra else last for name, last in rows.items()}


def _layers(
    net: nn.Module, example: Tensor, kept: dict[str, Tensor]
) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor], list[str]]:
    kernels = spectra(dict(weighted_layers(net)))
    sigmas = layer_sigmas(net, example, starts=kept, reshaped={name: float(row[0]) for name, row in kernels.items()})
    values = {}
    for layer, sigma in sigmas.items():
        values[f"sigma_reshaped/{layer}"] = sigma.reshaped
        values[f"sigma_operator/{layer}"] = sigma.operator
        values[f"effective_rank/{layer}"] = effective_rank(kernels[layer])
    unconverged = [layer for layer, sigma in sigmas.items() if not sigma.converged]
    return values, {layer: row for layer, row in kernels.items() if layer in sigmas}, kept, unconverged


def _network(
    net: nn.Module, points: Mapping[str, Tensor], rng: torch.Generator, labels: Tensor | None
) -> tuple[dict[str, float], dict[str, Any]]:
    values, of_place = {}, {}
    for place, where in points.items():
        of_place[place] = gradient_norms(net if labels is None else Labelled(net, labels), where)
        values[f"gradient_norm/{place}"] = float(of_place[place].mean())
        values[f"gradient_norm_max/{place}"] = float(of_place[place].max())
    shape = tuple(points["real"].shape[1:])
    bounds = layer_bounds(net, input_shapes(net, shape))
    values |= {f"sigma_upper/{layer}": bound.constant for layer, bound in bounds.items()}
    if labels is not None:
        steepest = torch.stack([of_place[place] for place in SEARCHED_FROM]).amax(dim=0).argmax()
        net = Labelled(net, labels[steepest].reshape(1))
        bounds = {f"net.{layer}": bound for layer, bound in bounds.items()}
    lower = lower_bound(net, torch.cat([points[place] for place in SEARCHED_FROM]), rng)
    # Any point will do for a lower bound.
    lower = max(lower, *(values[f"gradient_norm_max/{place}"] * (1 - ROUNDING_MARGIN) for place in points))
    bound = upper_bound(net, shape, bounds)
    lower, upper, _ = ordered_bounds(lower, bound.constant)
    values |= {"lipschitz_lower": lower, "lipschitz_upper": upper, "lipschitz_ratio": bound_ratio(lower, upper)}
    values["lipschitz_upper_product"] = bound.constant if bound.product is None else bound.product
    return values, {"upper_method": bound.method} | ({"upper_reasons": bound.reasons} if bound.reasons else {})
