"""Robustness of a classifier as runs record it: certified and attacked accuracy, sensitivity, spectral complexity."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.estimation.batch_norm_folding import fold_batch_norm
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas
from lipschitz.estimation.upper_bound.logit_differences import logit_difference_bounds
from lipschitz.metrics.attacks import withstands_fgsm, withstands_pgd
from lipschitz.metrics.predictions import logits_of
from lipschitz.metrics.robustness import certified, image_radius
from lipschitz.metrics.sensitivity import Sensitivity, input_sensitivity, pixel_sensitivity, weight_sensitivity
from lipschitz.metrics.spectral_complexity import row_norm_sums, spectral_complexity
from lipschitz.random_streams import stream
from lipschitz.tasks.classification.certificates import CURVE, Outputs, check_certificates, radii, shares

FGSM_EPSILONS = (2 / 255, 8 / 255)
"""Radii of FGSM in the l∞ norm, for pixels in [0, 1]."""
NOISE = (0.05, 0.1, 0.2)
"""Standard deviations of noise on images, for pixels in [0, 1]."""
WEIGHT_NOISE = (0.01, 0.03, 0.1)
"""Standard deviations of noise on weights, relative to each tensor's root mean square."""
STEPS, RESTARTS = 20, 1
"""Steps of PGD, and starts of each image: the image itself."""


def robustness_values(
    net: nn.Module, images: Tensor, labels: Tensor, values: Mapping[str, float], seed: int
) -> tuple[dict[str, float], list[str]]:
    """Return values by name, and lines on what was not measured, or was fooled by float32 rounding.

    Args:
        net: the classifier, in float32; it is not changed.
        images: test images ``(n, c, h, w)`` in [-1, 1].
        labels: int64 ``(n,)``.
        values: of `lipschitz.tasks.measurement.measure_discriminator`.
        seed: of the run; the random numbers are the same at every call.

    Raises:
        InputError: an attack fooled an image that is certified at its radius: an upper bound is not valid.
    """
    shape = tuple(images.shape[1:])
    with float64_copy(net) as twin:
        outputs = Outputs(logits_of(net, images), logits_of(twin, images.double()))
        pairs = logit_difference_bounds(twin, shape, values["lipschitz_upper"])
        found, notes = _of_layers(twin, shape, values)
    joint, certificates = (
        certified(outputs.certified_radii(labels, bounds), [0.0, *radii()])
        for bounds in (values["lipschitz_upper"], pairs)
    )
    withstood = torch.cat([outputs.float32.argmax(dim=1)[None] == labels, _attacked(net, images, labels, seed)])

    def attack_in_float64(rows: Tensor) -> Tensor:
        with float64_copy(net) as twin:
            return _attacked(twin, images[rows].double(), labels[rows], seed)

    upper = f"Lip(D) <= {values['lipschitz_upper']:.6g}"
    by_bound = {f"the joint bound {upper}": joint, f"the bounds by pairs of classes, for {upper}": certificates}
    notes += check_certificates(by_bound, withstood, attack_in_float64)
    found |= shares("certified_accuracy", certificates, CURVE) | shares("pgd_accuracy", withstood, CURVE)
    signs = withstands_fgsm(net, images, labels, [image_radius(epsilon) for epsilon in FGSM_EPSILONS])
    found |= shares("fgsm_accuracy", signs, FGSM_EPSILONS)
    for size in NOISE:
        noise = stream(seed, "evaluation/noise")
        found |= _changes("noise", size, input_sensitivity(net, images, labels, image_radius(size), noise))
    for size in WEIGHT_NOISE:
        noise = stream(seed, "evaluation/weight_noise")
        found |= _changes("weight_noise", size, weight_sensitivity(net, images, labels, size, noise))
    pixels = pixel_sensitivity(net, images, labels, stream(seed, "evaluation/pixel"))
    return found | _changes("change", "pixel", pixels), notes


def protocols(n: int) -> dict[str, dict[str, Any]]:
    """Return by metric how attacked and certified accuracies on ``n`` images were measured."""
    facts: dict[str, dict[str, Any]] = {}
    for epsilon in CURVE:
        facts[f"certified_accuracy/{epsilon:.3g}"] = {"images": n}
        facts[f"pgd_accuracy/{epsilon:.3g}"] = {"images": n, "norm": "l2", "steps": STEPS, "restarts": RESTARTS}
    for epsilon in FGSM_EPSILONS:
        facts[f"fgsm_accuracy/{epsilon:.3g}"] = {"images": n, "norm": "linf"}
    return facts


def _attacked(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
    rng = stream(seed, "evaluation/pgd")
    return withstands_pgd(net, images, labels, radii(), rng, steps=STEPS, restarts=RESTARTS)


def _changes(kind: str, size: float | str, found: Sensitivity) -> dict[str, float]:
    place = size if isinstance(size, str) else f"{kind}_{size:g}"
    return {
        f"loss_change/{place}": found.loss_change,
        f"logit_change/{place}": found.logit_change,
        f"logit_change_max/{place}": found.largest,
        f"accuracy_under/{place}": found.accuracy,
    }


def _of_layers(
    net: nn.Module, shape: tuple[int, ...], values: Mapping[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Return products of σ and spectral complexities, or none and a line that says why.

    Batch normalization counts as part of the layer before it; ``net`` is a float64 copy, and gets it folded in place.
    """
    try:
        folded = fold_batch_norm(net, shape)
        sums = row_norm_sums(net, shape)
    except ValueError as error:
        return {}, [f"no spectral complexity: {error}"]
    measured = dict(values)
    if folded:
        like = next(net.parameters())
        for layer, sigma in layer_sigmas(net, like.new_zeros((1, *shape))).items():
            measured |= {f"sigma_reshaped/{layer}": sigma.reshaped, f"sigma_operator/{layer}": sigma.operator}
    found = {}
    for kind in ("reshaped", "operator"):
        sigmas = [measured.get(f"sigma_{kind}/{layer}", math.nan) for layer in sums]
        rows = [getattr(row, kind) for row in sums.values()]
        found[f"sigma_product/{kind}"] = math.prod(sigmas)
        found[f"spectral_complexity/{kind}"] = spectral_complexity(sigmas, rows)
    return found, []
