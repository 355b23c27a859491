"""What is measured of every discriminator, whatever its constraint: σ per layer, and input-gradient norms by place."""

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from lipschitz.estimation.gradients import gradient_norms
from lipschitz.estimation.sigma import layer_sigmas

BOUNDED_BY = ("real", "fake", "interpolated")
"""Places whose gradients make ``lipschitz_lower``."""


def measure_discriminator(net: nn.Module, places: Mapping[str, Tensor]) -> dict[str, float]:
    """Measure a copy of ``net`` in float64 and eval mode; the network itself is left alone.

    Args:
        net: the discriminator, ``(n, ...)`` -> ``(n, 1)``.
        places: named points ``(n, ...)``; those of `BOUNDED_BY` must be among them.

    Returns:
        ``sigma_reshaped/<layer>``, ``sigma_operator/<layer>``, ``gradient_norm/<place>`` (mean),
        ``gradient_norm_max/<place>``, and ``lipschitz_lower``: the largest gradient norm met, a lower bound of the
        Lipschitz constant.
    """
    exact = copy.deepcopy(net).double().eval().requires_grad_(False)
    values: dict[str, float] = {}
    for layer, sigma in layer_sigmas(exact, places["real"].double()).items():
        values[f"sigma_reshaped/{layer}"] = sigma.reshaped
        values[f"sigma_operator/{layer}"] = sigma.operator
    for place, points in places.items():
        norms = gradient_norms(exact, points.double())
        values[f"gradient_norm/{place}"] = float(norms.mean())
        values[f"gradient_norm_max/{place}"] = float(norms.max())
    values["lipschitz_lower"] = max(values[f"gradient_norm_max/{place}"] for place in BOUNDED_BY)
    return values
