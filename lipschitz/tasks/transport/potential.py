"""Evaluation of a critic as a Wasserstein-1 potential, against the known optimal potential."""

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
from lipschitz.tasks.measurement import DiscriminatorMeasurement, measure_discriminator
from lipschitz.tasks.surfaces import surface_arrays, values_on_grid

METRICS = ("cosine", "l2", "w1_dual", "w1_error", "w1_over_lower", "w1_over_upper")
AS_PUBLISHED = ("cosine_float32", "l2_float32", "w1_independent")
"""Metrics of pairs with published results, as the code of these results computes them."""
LOG_RATIO = ("d_star_error", "log_ratio_error", "log_ratio_gradient_error")
"""Metrics of a critic that is trained to be log p/q."""
GRADIENTS = ("cosine", "l2", "cosine_float32", "l2_float32", *LOG_RATIO)
"""Metrics of gradients and densities, which do not depend on the true W1."""
SHOWN_POINTS = 1000
"""Points of P and of Q that the report draws."""

Potential = Callable[[Tensor], Tensor]


class PotentialEvaluator:
    """Measures critics ``(n, d)`` -> ``(n, 1)`` of one pair of distributions, for one seed, in float64.

    Args:
        data: the pair, on the critic's device.
        seed: of the run; a draw named ``d`` is its random stream ``evaluation/d``.
        samples: points of the optimal plan per evaluation.
        gradient_samples: points of each kind at which the norm of the critic's gradient is measured.
        device: of data and critic.
        estimates_log_ratio: whether the critic is trained to be log p/q. If so, it is also compared with that.
    """

    def __init__(
        self,
        data: PairData,
        *,
        seed: int,
        samples: int,
        gradient_samples: int,
        device: torch.device,
        estimates_log_ratio: bool = False,
    ) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._log_ratio = data.log_ratio if estimates_log_ratio else None
        self._samples, self._gradient_samples = samples, min(gradient_samples, samples)

    def evaluate(self, critic: nn.Module, starts: dict[str, Tensor], draw: str) -> DiscriminatorMeasurement:
        """Compare ``critic`` with the optimal potential, and measure it by `measure_discriminator`.

        Points of P are ``real``, those of Q ``fake``. ``starts`` are those of the last measurement.
        """
        rng = self._stream(draw)
        with float64_copy(critic) as twin:
            quality = self._quality(twin, rng)
            published = self._as_published(twin, draw)
            ratio = self._of_log_ratio(lambda x: twin(x).flatten(), draw)
        places = self._places(rng)
        measured = measure_discriminator(critic, places, starts, stream(self._seed, f"evaluation/{draw}/lipschitz"))
        rescaled = {
            f"w1_over_{bound}": _ratio(quality["w1_dual"], measured.values[f"lipschitz_{bound}"])
            for bound in ("lower", "upper")
        }
        return measured._replace(values=quality | rescaled | published | ratio | measured.values)

    def facts(self) -> dict[str, Any]:
        """Return the metrics of the optimal potential, the ``floor``, and the metrics' ``protocols``."""
        floor = self._quality(self._data.potential, self._stream("floor"))
        floor |= {f"w1_over_{bound}": floor["w1_dual"] for bound in ("lower", "upper")}
        floor |= self._as_published(self._data.potential, "floor")
        if self._log_ratio is not None:
            floor |= self._of_log_ratio(self._log_ratio, "floor")
        # Rounded, so that the last digits, which differ between processors, are not part of the protocol.
        true = {
            name: float(f"{value:.6g}")
            for name, value in (("w1", self._data.w1), ("w1_standard_error", self._data.w1_error))
        }
        return {
            "floor": floor,
            "protocols": {name: self._protocol(name) | (true if name not in GRADIENTS else {}) for name in floor},
        }

    def arrays(self, critic: nn.Module) -> dict[str, np.ndarray]:
        """Return, for pairs in the plane, points of P and Q, and the surfaces of critic and optimal potential."""
        extent = self._data.extent
        if extent is None:
            return {}
        shown = self._data.plan(SHOWN_POINTS, self._stream("shown"))
        return surface_arrays(critic, extent, self._device) | {
            "surface_true": values_on_grid(self._data.potential, extent, self._device),
            "source": shown.source.float().cpu().numpy(),
            "target": shown.target.float().cpu().numpy(),
        }

    def _protocol(self, name: str) -> dict[str, Any]:
        drawn = "independent draws of P and Q, in float32" if name in AS_PUBLISHED else "the optimal plan"
        if name in LOG_RATIO:
            drawn = "independent draws of P and Q"
        return {"samples": self._samples, "of": drawn, "data": f"SHA-256 {self._data.hash[:12]}"}

    def _quality(self, potential: Potential, rng: torch.Generator) -> dict[str, float]:
        """Compare the values and the gradients of ``potential`` with those of the optimal potential.

        Korotin et al. 2022: cosine and squared distance of the two gradients, averaged over P; the dual value. Both
        means of the dual are over the same rows of the optimal plan, which about halves the variance of the dual value
        of the optimal potential. The cosine of the optimal potential itself is below one if rounding puts a point of P
        on one of its kinks, where its gradient is zero.
        """
        plan = self._data.plan(self._samples, rng)
        slope = self._data.slope(plan.target)
        cosine, l2 = _cosine_and_l2(_gradient(potential, plan.source), slope)
        with torch.no_grad():
            dual = float((potential(plan.source) - potential(plan.target)).mean())
        return {
            "cosine": cosine,
            "l2": l2,
            "w1_dual": dual,
            "w1_error": abs(dual - self._data.w1) / self._data.w1,
        }

    def _as_published(self, potential: Potential, draw: str) -> dict[str, float]:
        """Return the metrics as the code of published results computes them; they differ near the optimal one's kinks.

        There the optimal gradient is that of `PairData.potential_as_published`: zero where float32 rounds a
        distance to zero. A zero gradient has cosine zero with any other. The dual value is over independent draws.
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
        cosine, l2 = _cosine_and_l2(gradient, slope)
        return {"cosine_float32": cosine, "l2_float32": l2, "w1_independent": float(dual)}

    def _of_log_ratio(self, f: Potential, draw: str) -> dict[str, float]:
        """Compare ``f`` ``(n, d)`` -> ``(n,)`` with f* = log p/q, at as many points of P as of Q.

        D* = sigmoid(f*) is p / (p + q) (Goodfellow et al. 2014, Prop. 1), and ∇f* may be unbounded (Miyato et al. 2018,
        eq. 4).
        """
        if self._log_ratio is None:
            return {}
        rng = self._stream(f"{draw}/log ratio")
        points = torch.cat([self._data.source(self._samples, rng), self._data.target(self._samples, rng)]).double()
        with torch.no_grad():
            found, optimal = f(points), self._log_ratio(points)
        slope, optimal_slope = _gradient(f, points), _gradient(self._log_ratio, points)
        error = (slope - optimal_slope).square().sum(dim=1).mean()
        return {
            "d_star_error": float((found.sigmoid() - optimal.sigmoid()).abs().mean()),
            "log_ratio_error": float((found - optimal).abs().mean()),
            "log_ratio_gradient_error": float(error / optimal_slope.square().sum(dim=1).mean()),
        }

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


def _cosine_and_l2(gradient: Tensor, slope: Tensor) -> tuple[float, float]:
    """Return mean cosine and mean squared distance of two vector fields ``(n, d)``; a zero vector has cosine zero."""
    cosine = cosine_similarity(gradient, slope, dim=1, eps=torch.finfo(gradient.dtype).tiny).mean()
    return float(cosine), float((gradient - slope).square().sum(dim=1).mean())


def _ratio(value: float, bound: float) -> float:
    """Return ``value / bound``; NaN if the bound is zero or not finite."""
    return value / bound if bound and math.isfinite(bound) else math.nan
