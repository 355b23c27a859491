"""Certified robust accuracy of a classifier: the margin over the Lipschitz constant, and its check against attacks.

certified accuracy <= robust accuracy <= accuracy under attack, sample by sample: `contradictions` finds where not.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lipschitz.metrics.predictions import check_labels

EPSILONS = (36 / 255, 72 / 255, 108 / 255, 1.0, 1.58)
"""Published l2 radii, for pixels in [0, 1]: CIFAR-10's by Trockman and Kolter 2021, arXiv:2104.07167, and 1.58 for
MNIST by Wong et al. 2018, arXiv:1805.12514."""
PIXEL_SPAN = 2.0
"""Images lie in [-1, 1], twice the span of the pixels in [0, 1] for which radii are published."""


def image_radius(epsilon: float) -> float:
    """Return the radius of a change of an image in [-1, 1] that is ``epsilon`` for pixels in [0, 1], in any norm."""
    return PIXEL_SPAN * epsilon


def certified_radii(logits: Tensor, labels: Tensor, bounds: Tensor | float) -> Tensor:
    """Return the l2 radius within which each prediction provably stays correct: float64 ``(n,)``, 0 if it is wrong.

    The least over the other classes j of (z_y - z_j) / L_yj, where L_yj bounds the Lipschitz constant of z_y - z_j
    (Tsuzuku et al. 2018, arXiv:1802.04034, Sec. 4, with the joint bound √2 Lip(z)). It is a certificate of the network
    in exact arithmetic, up to float64 rounding: a margin within 64 ε max |z|, with the ε of float64, counts as zero.
    Float32 logits are refused: layers inside may round away more than any multiple of their logits.

    Args:
        logits: z ``(n, classes)``, float64, of a float64 copy of the network in eval mode, see
            `lipschitz.estimation.float64_copy.float64_copy`.
        labels: int64 y ``(n,)``.
        bounds: symmetric ``(classes, classes)``, in units of the samples, see
            `lipschitz.estimation.upper_bound.logit_differences`; or the Lipschitz constant of all logits together.

    Raises:
        ValueError: the logits are not float64, the shapes or labels do not fit, or a bound is negative or NaN.
    """
    if logits.dtype != torch.float64:
        raise ValueError(f"logits in {str(logits.dtype).removeprefix('torch.')}; expected float64, of a float64 copy")
    check_labels(logits, labels)
    classes = logits.shape[1]
    pairs = torch.as_tensor(bounds, dtype=torch.float64, device=logits.device)
    if pairs.dim() == 0:
        pairs = math.sqrt(2) * pairs.expand(classes, classes)
    if pairs.shape != (classes, classes) or not (pairs >= 0).all():
        raise ValueError(f"bounds of {classes} classes; expected one number or {classes}x{classes}, at least 0")
    rounding = 64 * torch.finfo(logits.dtype).eps * logits.abs().amax(dim=1, keepdim=True)
    differences = logits.gather(1, labels[:, None]) - logits - rounding
    # A difference that is constant, with a bound of zero, holds everywhere or nowhere.
    radii = torch.where(differences > 0, differences / pairs[labels], 0.0)
    return radii.scatter(1, labels[:, None], math.inf).amin(dim=1)


def certified(radii: Tensor, thresholds: Sequence[float]) -> Tensor:
    """Return whether each of ``radii`` ``(n,)`` is larger than each threshold: bool ``(thresholds, n)``."""
    return radii > torch.tensor(thresholds, dtype=radii.dtype, device=radii.device)[:, None]


def contradictions(certificates: Tensor, withstood: Tensor, epsilons: Sequence[float], bound: str) -> list[str]:
    """Return a line for each epsilon at which an attack fooled a certified sample: then the bound is not valid.

    Args:
        certificates: bool ``(epsilons, n)``, from `certified`.
        withstood: bool ``(epsilons, n)``, from `lipschitz.metrics.attacks.withstands_pgd` of a float64 copy, whose
            rounding is no reason.
        epsilons: for the lines.
        bound: name of the bound, for the lines.
    """
    fooled = (certificates & ~withstood).sum(dim=1).tolist()
    return [
        f"an attack within {epsilon:.4g} fooled {count} of the {total} samples that are certified there by {bound}, "
        "which is not valid"
        for epsilon, count, total in zip(epsilons, fooled, certificates.sum(dim=1).tolist(), strict=True)
        if count
    ]
