"""Measurement of a discriminator: σ of its layers, a bracket of its Lipschitz constant, norms of its gradients."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.bracket import bound_ratio, ordered_bounds
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes, weighted_layers
from lipschitz.estimation.lower_bound.gradient_norms import JacobianNorms, input_gradients, sample_norms
from lipschitz.estimation.lower_bound.network_cost import network_cost
from lipschitz.estimation.lower_bound.search import LowerBound, lower_bound
from lipschitz.estimation.lower_bound.steepest_class import lower_bound_over_classes
from lipschitz.estimation.network_checks import eval_mode_note
from lipschitz.estimation.sigma.layer_sigmas import effective_rank, layer_sigmas, spectra
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds


class DiscriminatorMeasurement(NamedTuple):
    """The result of `measure_discriminator`."""

    values: dict[str, float]
    """Values by metric name."""
    spectra: dict[str, Tensor]
    """All singular values of each layer's reshaped kernel, descending, float64, on the CPU."""
    starts: dict[str, Tensor]
    """By layer, the vectors from which the next search for its σ should start."""
    notes: tuple[str, ...] = ()
    """On the bracket: what it takes for granted, and what contradicts it."""


def measure_discriminator(
    net: nn.Module,
    places: Mapping[str, Tensor],
    starts: Mapping[str, Tensor] | None = None,
    rng: torch.Generator | None = None,
    labels: Tensor | None = None,
    classes: int | None = None,
) -> DiscriminatorMeasurement:
    """Measure a copy of ``net`` in float64 and eval mode; the network itself is unchanged.

    Args:
        net: the discriminator, ``(n, ...)`` -> ``(n, 1)``.
        places: points ``(n, ...)`` by the name of the place; ``real`` is required. The search for the lower bound
            starts from all of them.
        starts: `Measured.starts` of an earlier measurement.
        rng: random numbers of the search for the lower bound, on the CPU; by default seeded by zero.
        labels: int64 ``(n,)``, the classes of the points of every place, row by row, for a conditional network. The
            bracket is then that of x -> D(x, y) for the worst class y: the search tries every class, and the upper
            bound holds for every class, by σ of the whole embedding table.
        classes: the number of classes of a conditional network; by default one more than the largest label.

    Returns:
        Values ``sigma_reshaped/<layer>``, ``sigma_operator/<layer>``, ``sigma_upper/<layer>``,
        ``effective_rank/<layer>``, ``gradient_norm/<place>`` (mean), ``gradient_norm_max/<place>``,
        ``lipschitz_lower``, ``lipschitz_upper`` and ``lipschitz_ratio``.
    """
    with float64_copy(net) as twin:
        points = {place: where.double() for place, where in places.items()}
        layers, spectra, kept = _layers(twin, points["real"], dict(starts or {}))
        search = rng or torch.Generator().manual_seed(0)
        together = torch.cat(list(points.values()))
        gradients = _input_gradients(twin, together, labels)
        norms = sample_norms(gradients)
        values = _gradient_norms(points, norms)
        label = None
        if labels is None:
            lower = lower_bound(twin, together, search, known=JacobianNorms.of(gradients))
        else:
            rows = labels.repeat(len(points))
            classes = int(labels.max()) + 1 if classes is None else classes
            label, lower = lower_bound_over_classes(twin, together, norms.nan_to_num(nan=0.0), rows, classes, search)
        bracket, notes = _bracket(twin, points["real"].shape[1:], lower, label)
        return DiscriminatorMeasurement(layers | values | bracket, spectra, kept, notes)


def append_spectra(spectra: Mapping[str, Tensor], row: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``spectra``, by layer ``(evaluations, k)`` float32, with the values ``(k,)`` of one more evaluation."""
    rows = {name: values.float().cpu()[None] for name, values in row.items()}
    return {name: torch.cat([spectra[name], last]) if name in spectra else last for name, last in rows.items()}


def _layers(
    net: nn.Module, example: Tensor, kept: dict[str, Tensor]
) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]:
    kernels = spectra(dict(weighted_layers(net)))
    sigmas = layer_sigmas(net, example, starts=kept, reshaped={name: float(row[0]) for name, row in kernels.items()})
    values = {}
    for layer, sigma in sigmas.items():
        values[f"sigma_reshaped/{layer}"] = sigma.reshaped
        values[f"sigma_operator/{layer}"] = sigma.operator
        values[f"effective_rank/{layer}"] = effective_rank(kernels[layer])
    return values, {layer: row for layer, row in kernels.items() if layer in sigmas}, kept


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
    net: nn.Module, shape: tuple[int, ...], found: LowerBound, label: Tensor | None
) -> tuple[dict[str, float], tuple[str, ...]]:
    bounds = layer_bounds(net, input_shapes(net, shape))
    values = {f"sigma_upper/{layer}": bound.constant for layer, bound in bounds.items()}
    if label is not None:
        # The bound of the embedding is that of all classes.
        net = Labelled(net, label)
        bounds = {f"net.{layer}": bound for layer, bound in bounds.items()}
    lower, upper, note = ordered_bounds(found.value, upper_bound(net, shape, bounds).constant)
    values |= {"lipschitz_lower": lower, "lipschitz_upper": upper, "lipschitz_ratio": bound_ratio(lower, upper)}
    return values, tuple(filter(None, (eval_mode_note(net), found.note, note)))
