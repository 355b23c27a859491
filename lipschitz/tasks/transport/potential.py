"""How good a critic is as a Wasserstein-1 potential, where the optimal one is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.random_streams import stream
from lipschitz.tasks.measurement import Measured, measure_discriminator
from lipschitz.tasks.surfaces import over_plane, surface

METRICS = ("cosine", "l2", "w1_dual", "w1_error", "w1_over_lower", "w1_over_upper")
AS_PUBLISHED = ("cosine_float32", "l2_float32", "w1_independent")
"""Of pairs with published numbers: what the code behind these would measure."""
GRADIENTS = ("cosine", "l2", "cosine_float32", "l2_float32")
SHOWN_POINTS = 1000

Potential = Callable[[Tensor], Tensor]


class PotentialEvaluator:
    """Measures critics ``(n, d)`` -> ``(n, 1)`` of one pair of distributions, for one seed, all in float64.

    Args:
        data: the pair, on the critic's device.
        seed: the run's; a draw is its stream ``evaluation/<draw>``.
        samples: of the optimal plan, per evaluation.
        gradient_samples: points of each kind at which the size of the critic's gradient is measured.
        device: where everything lives.
    """

    def __init__(self, data: PairData, *, seed: int, samples: int, gradient_samples: int, device: torch.device) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._samples, self._gradient_samples = samples, min(gradient_samples, samples)

    def evaluate(self, critic: nn.Module, starts: dict[str, Tensor], draw: str) -> Measured:
        """Measure ``critic`` against the optimal potential, and its layers and bracket; ``starts`` of the one before.

        ``real`` points are of P, ``fake`` ones of Q.
        """
        rng = self._stream(draw)
        with float64_copy(critic) as twin:
            quality = self._quality(twin, rng)
            published = self._as_published(twin, draw)
        places = self._places(rng)
        measured = measure_discriminator(critic, places, starts, stream(self._seed, f"evaluation/{draw}/lipschitz"))
        rescaled = {
            f"w1_over_{bound}": _over(quality["w1_dual"], measured.values[f"lipschitz_{bound}"])
            for bound in ("lower", "upper")
        }
        return measured._replace(values=quality | rescaled | published | measured.values)

    def facts(self) -> dict[str, Any]:
        """Return what the metrics say of the optimal potential itself, and their protocols."""
        floor = self._quality(self._data.potential, self._stream("floor"))
        floor |= {f"w1_over_{bound}": floor["w1_dual"] for bound in ("lower", "upper")}
        floor |= self._as_published(self._data.potential, "floor")
        # Rounded: another processor's last digits are the same protocol.
        true = {
            name: float(f"{value:.6g}")
            for name, value in (("w1", self._data.w1), ("w1_standard_error", self._data.w1_error))
        }
        return {
            "floor": floor,
            "protocols": {name: self._protocol(name) | (true if name not in GRADIENTS else {}) for name in floor},
        }

    def arrays(self, critic: nn.Module) -> dict[str, np.ndarray]:
        """Return, for pairs in the plane, points of both and the surfaces of ``critic`` and the optimal potential."""
        extent = self._data.extent
        if extent is None:
            return {}
        shown = self._data.plan(SHOWN_POINTS, self._stream("shown"))
        return surface(critic, extent, self._device) | {
            "surface_true": over_plane(self._data.potential, extent, self._device),
            "source": shown.source.float().cpu().numpy(),
            "target": shown.target.float().cpu().numpy(),
        }

    def _protocol(self, name: str) -> dict[str, Any]:
        drawn = "independent draws of P and Q, in float32" if name in AS_PUBLISHED else "the optimal plan"
        return {"samples": self._samples, "of": drawn}

    def _quality(self, potential: Potential, rng: torch.Generator) -> dict[str, float]:
        """Compare ``potential`` and its gradient where P lies with what is optimal there.

        Korotin et al. 2022: cosine and squared distance of the two gradients, averaged over P; the dual value. Both
        means of the dual are over the same rows of the optimal plan, which about halves the variance of the optimal
        potential's. Even that scores below one where rounding puts a point of P on its kink, whose gradient is zero.
        """
        plan = self._data.plan(self._samples, rng)
        slope = self._data.slope(plan.target)
        cosine, l2 = _compared(_gradient(potential, plan.source), slope)
        with torch.no_grad():
            dual = float((potential(plan.source) - potential(plan.target)).mean())
        return {
            "cosine": cosine,
            "l2": l2,
            "w1_dual": dual,
            "w1_error": abs(dual - self._data.w1) / self._data.w1,
        }

    def _as_published(self, potential: Potential, draw: str) -> dict[str, float]:
        """Return what the code behind published numbers would measure, which differs near the kinks of the optimum.

        Its optimal gradient is that of `PairData.potential_as_published`, zero where float32 loses a distance, and a
        gradient of zero has cosine zero with any other. Its dual value is over independent draws.
        """
        optimal = self._data.potential_as_published
        if optimal is None:
            return {}
        rng = self._stream(f"{draw}/published")
        source, target = self._data.source(self._samples, rng), self._data.target(self._samples, rng)
        slope = _gradient(optimal, source).double()
        gradient = _gradient(potential, source.double())
        with torch.no_grad():
            dual = potential(source.double()).mean() - potential(target.double()).mean()
        cosine, l2 = _compared(gradient, slope)
        return {"cosine_float32": cosine, "l2_float32": l2, "w1_independent": float(dual)}

    def _places(self, rng: torch.Generator) -> dict[str, Tensor]:
        n = self._gradient_samples
        real, fake = self._data.source(n, rng), self._data.target(n, rng)
        epsilon = torch.rand(n, 1, generator=rng, device=self._device)
        return {"real": real, "fake": fake, "interpolated": torch.lerp(fake, real, epsilon)}

    def _stream(self, draw: str) -> torch.Generator:
        return stream(self._seed, f"evaluation/{draw}", self._device)


def _gradient(potential: Potential, points: Tensor) -> Tensor:
    """Return the gradient of ``potential`` at each of ``points`` ``(n, d)``."""
    at = points.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(potential(at).sum(), at)
    return gradient


def _compared(gradient: Tensor, slope: Tensor) -> tuple[float, float]:
    """Return mean cosine and mean squared distance of two fields ``(n, d)``; a vector of zero has cosine zero."""
    cosine = cosine_similarity(gradient, slope, dim=1, eps=torch.finfo(gradient.dtype).tiny).mean()
    return float(cosine), float((gradient - slope).square().sum(dim=1).mean())


def _over(value: float, bound: float) -> float:
    """Return ``value / bound``, NaN where there is no bound or none but zero."""
    return value / bound if bound and math.isfinite(bound) else math.nan
