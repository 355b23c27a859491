"""Measurement of a discriminator: σ of its layers, a bracket of its Lipschitz constant, norms of its gradients."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.bracket import bound_ratio, ordered_bounds
from lipschitz.estimation.exact.constant import exact_constant
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import affine_layers, input_shapes
from lipschitz.estimation.lower_bound.gradient_norms import (
    JacobianNorms,
    input_gradients,
    jacobian_norms,
    sample_norms,
)
from lipschitz.estimation.lower_bound.network_cost import network_cost
from lipschitz.estimation.lower_bound.search import LowerBound, lower_bound
from lipschitz.estimation.lower_bound.steepest_class import lower_bound_over_classes
from lipschitz.estimation.network_checks import eval_mode_note
from lipschitz.estimation.sigma.layer_sigmas import effective_rank, layer_sigmas, spectra
from lipschitz.estimation.upper_bound.composition import upper_bound, upper_bound_over_classes
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds

CONTRADICTION = 1e-6
"""An exact constant that is outside of the bracket by more than this, relatively, is not recorded."""


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
    is infinite, or the conditions under which it holds. ``upper_method``: which bound it is. ``bracket_notes``: what
    the bracket takes for granted, bounds that contradict each other, gradients that are not confirmed. ``no_exact``:
    why there is no exact constant.
    """


def measure_discriminator(
    net: nn.Module,
    places: Mapping[str, Tensor],
    starts: Mapping[str, Tensor] | None = None,
    rng: torch.Generator | None = None,
    labels: Tensor | None = None,
    classes: int | None = None,
    outputs: int = 1,
) -> DiscriminatorMeasurement:
    """Measure a copy of ``net`` in float64 and eval mode; the network itself is unchanged.

    Args:
        net: the discriminator, ``(n, ...)`` -> ``(n, 1)``, or a classifier, ``(n, ...)`` -> ``(n, outputs)``.
        places: points ``(n, ...)`` by the name of the place; ``real`` is required. The search for the lower bound
            starts from all of them.
        starts: `Measured.starts` of an earlier measurement.
        rng: random numbers of the search for the lower bound, on the CPU; by default seeded by zero.
        labels: int64 ``(n,)``, the classes of the points of every place, row by row, for a conditional network. The
            bracket is then that of x -> D(x, y) for the worst class y: the search tries every class, and the upper
            bound is the largest of all classes.
        classes: the number of classes of a conditional network; by default one more than the largest label.
        outputs: of the network, for each sample. With several, the norms are those of its Jacobian.

    Returns:
        Values ``sigma_reshaped/<layer>``, ``sigma_operator/<layer>``, ``sigma_upper/<layer>``,
        ``effective_rank/<layer>``, ``gradient_norm/<place>`` (mean), ``gradient_norm_max/<place>``,
        ``lipschitz_lower``, ``lipschitz_upper``, ``lipschitz_upper_product`` and ``lipschitz_ratio``.
    """
    with float64_copy(net) as twin:
        points = {place: where.double() for place, where in places.items()}
        layers, spectra, kept, unconverged = _layers(twin, points["real"], dict(starts or {}))
        search = rng or torch.Generator().manual_seed(0)
        if labels is not None and classes is None:
            classes = int(labels.max()) + 1
        together = torch.cat(list(points.values()))
        if outputs == 1:
            gradients = _input_gradients(twin, together, labels)
            norms, known = sample_norms(gradients), JacobianNorms.of(gradients)
        else:
            known = jacobian_norms(twin, together, search, batch=network_cost(twin, together).batch)
            norms = known.norms
        values = _gradient_norms(points, norms)
        if labels is None or classes is None:
            lower = lower_bound(twin, together, search, known=known)
        else:
            rows = labels.repeat(len(points))
            _, lower = lower_bound_over_classes(twin, together, norms.nan_to_num(nan=0.0), rows, classes, search)
        reshaped = {name: float(row[0]) for name, row in spectra.items()}
        shape = tuple(points["real"].shape[1:])
        bracket, facts = _bracket(twin, shape, lower, classes if labels is not None else None, reshaped)
        facts = ({"unconverged": unconverged} if unconverged else {}) | facts
        return DiscriminatorMeasurement(layers | values | bracket, spectra, kept, facts)


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
    kernels = spectra(dict(affine_layers(net)))
    reshaped = {name: float(row[0]) for name, row in kernels.items()}
    sigmas = layer_sigmas(net, example, starts=kept, reshaped=reshaped)
    values = {}
    for layer, sigma in sigmas.items():
        values[f"sigma_reshaped/{layer}"] = sigma.reshaped
        values[f"sigma_operator/{layer}"] = sigma.operator
        values[f"effective_rank/{layer}"] = effective_rank(kernels[layer])
    unconverged = [layer for layer, sigma in sigmas.items() if not sigma.converged]
    return values, {layer: row for layer, row in kernels.items() if layer in sigmas}, kept, unconverged


def _input_gradients(net: nn.Module, points: Tensor, labels: Tensor | None) -> Tensor:
    """Return the gradient at each of ``points`` ``(places n, ...)``; the ``labels`` ``(n,)`` repeat at each place."""
    batch = network_cost(net if labels is None else Labelled(net, labels[:1]), points).batch
    if labels is None:
        return input_gradients(net, points, batch)
    rows = labels.repeat(len(points) // len(labels))
    parts = zip(torch.split(points, batch), torch.split(rows, batch), strict=True)
    return torch.cat([input_gradients(Labelled(net, classes), part) for part, classes in parts])


def _gradient_norms(points: Mapping[str, Tensor], norms: Tensor) -> dict[str, float]:
    values = {}
    for place, of_place in zip(points, torch.split(norms, [len(where) for where in points.values()]), strict=True):
        values[f"gradient_norm/{place}"] = float(of_place.mean())
        values[f"gradient_norm_max/{place}"] = float(of_place.max())
    return values


def _bracket(
    net: nn.Module,
    shape: tuple[int, ...],
    found: LowerBound,
    classes: int | None,
    reshaped: Mapping[str, float],
) -> tuple[dict[str, float], dict[str, Any]]:
    bounds = layer_bounds(net, input_shapes(net, shape), reshaped)
    values = {f"sigma_upper/{layer}": bound.constant for layer, bound in bounds.items()}
    if classes is None:
        bound = upper_bound(net, shape, bounds.operators)
    else:
        bound = upper_bound_over_classes(net, shape, classes, bounds.operators)
    lower, upper, note = ordered_bounds(found.value, bound.constant)
    values |= {"lipschitz_lower": lower, "lipschitz_upper": upper, "lipschitz_ratio": bound_ratio(lower, upper)}
    values["lipschitz_upper_product"] = bound.product
    facts: dict[str, Any] = {"upper_method": bound.method}
    if bound.reasons:
        facts["upper_reasons"] = bound.reasons
    if notes := [text for text in (eval_mode_note(net), found.note, note) if text]:
        facts["bracket_notes"] = notes
    return values, facts
