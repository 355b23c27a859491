"""Certified accuracy of a classifier as runs record it, and its check against attacks."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.errors import InputError
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.metrics.margins import QUANTILES, margin_quantiles, margins
from lipschitz.metrics.predictions import logits_of
from lipschitz.metrics.robustness import EPSILONS, certified, certified_radii, contradictions, image_radius

CURVE = (0.0, *EPSILONS)
"""Radii of attacks and of certificates by pairs: with 0, at which they are the accuracy on the same images."""


_NEAR = 0.9
"""Share of the least margin of a certificate: a smaller margin in float32 is not looked at in float64."""


class Outputs(NamedTuple):
    """Logits of a classifier in eval mode on some images, in the precision that it runs in and in exact arithmetic."""

    float32: Tensor
    """``(n, classes)``, of the network itself."""
    float64: Tensor
    """``(n, classes)``, of its float64 copy."""

    def certified_radii(self, labels: Tensor, bounds: Tensor | float) -> Tensor:
        """Return `lipschitz.metrics.robustness.certified_radii` of the float64 logits; 0 where float32 predicts else.

        So a certificate is of the network in exact arithmetic, up to float64 rounding, where both agree.
        """
        agree = self.float32.argmax(dim=1) == labels
        return torch.where(agree, certified_radii(self.float64, labels, bounds), 0.0)


def certified_values(
    net: nn.Module, images: Tensor, logits: Tensor, labels: Tensor, values: Mapping[str, float]
) -> dict[str, float]:
    """Return accuracy certified by the joint bound ``lipschitz_upper`` of ``values``.

    Float64 takes several times as long on a CPU, so it is for images alone whose float32 margin is near the least that
    a certificate needs, or above. All others count as not certified.

    Args:
        net: the classifier.
        images: ``(n, c, h, w)`` in [-1, 1].
        logits: ``(n, classes)``, those of ``net`` on the images, in float32.
        labels: int64 ``(n,)``.
        values: what was measured of the classifier.
    """
    bound = values["lipschitz_upper"]
    found = torch.zeros(len(labels), dtype=torch.float64, device=logits.device)
    near = margins(logits, labels).double() > _NEAR * math.sqrt(2) * bound * radii()[0]
    if near.any():
        with float64_copy(net) as twin:
            outputs = Outputs(logits[near], logits_of(twin, images[near].double()))
        found[near] = outputs.certified_radii(labels[near], bound)
    return shares("certified_accuracy_joint", certified(found, radii()), EPSILONS)


def margin_values(name: str, logits: Tensor, labels: Tensor, values: Mapping[str, float]) -> dict[str, float]:
    """Return by ``name/quantile`` the margins of ``logits`` over the joint bound ``lipschitz_upper`` of ``values``."""
    found = margin_quantiles(margins(logits, labels), values["lipschitz_upper"])
    return {f"{name}/{quantile:g}": value for quantile, value in zip(QUANTILES, found, strict=True)}


def check_certificates(
    certificates: Mapping[str, Tensor], withstood: Tensor, attack_in_float64: Callable[[Tensor], Tensor]
) -> list[str]:
    """Check that no attack fools a certified image.

    The attack is of float32. Only what it fools is attacked again, in float64: where that withstands, float32 rounding
    fooled the network, and not a wrong bound.

    Args:
        certificates: by the name of the bound, bool ``(radii, n)`` for the radii of `CURVE`.
        withstood: bool ``(radii, n)``, the attack on the network itself.
        attack_in_float64: rows ``(k,)`` of images -> which of them withstand the attack in float64, bool ``(radii, k)``
            without the radius of zero.

    Returns:
        A line where float32 rounding alone fooled certified images.

    Raises:
        InputError: an attack contradicts a certificate.
    """
    fooled = torch.stack([certain & ~withstood for certain in certificates.values()])
    rows = fooled.flatten(0, 1).any(dim=0).nonzero()[:, 0]
    if not len(rows):
        return []
    exactly = torch.ones_like(withstood)
    exactly[1:, rows] = attack_in_float64(rows)
    for bound, certain in certificates.items():
        for line in contradictions(certain, exactly, CURVE, bound):
            raise InputError(f"{line}; allowed: a lipschitz_constant of your layers that holds, or robustness: never")
    return [
        f"float32 rounding let an attack fool {len(rows)} certified images, which withstand it in float64: there the "
        "certified accuracy, which is of exact arithmetic, may exceed the accuracy under attack"
    ]


def shares(name: str, holds: Tensor, epsilons: tuple[float, ...]) -> dict[str, float]:
    """Return by ``name/epsilon`` the share of the images for which ``holds`` ``(epsilons, n)`` is true."""
    rows = holds.double().mean(dim=1).tolist()
    return {f"{name}/{epsilon:.3g}": row for epsilon, row in zip(epsilons, rows, strict=True)}


def radii() -> list[float]:
    """Return `EPSILONS` in units of images in [-1, 1]."""
    return [image_radius(epsilon) for epsilon in EPSILONS]
