"""How good a critic is as a Wasserstein-1 potential, where the optimal one is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from lipschitz.datasets.pairs import PairData
from lipschitz.estimation.exact import exact
from lipschitz.streams import stream
from lipschitz.tasks.drawing import over_plane, surface
from lipschitz.tasks.measurement import Measured, measure_discriminator

METRICS = ("cosine", "l2", "w1_dual", "w1_error", "w1_over_lower", "w1_over_upper")
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
        with exact(critic) as twin:
            quality = self._quality(twin, rng)
        places = self._places(rng)
        measured = measure_discriminator(critic, places, starts, stream(self._seed, f"evaluation/{draw}/lipschitz"))
        rescaled = {
            f"w1_over_{bound}": quality["w1_dual"] / measured.values[f"lipschitz_{bound}"]
            if measured.values[f"lipschitz_{bound}"]
            else 0.0
            for bound in ("lower", "upper")
        }
        return measured._replace(values=quality | rescaled | measured.values)

    def facts(self) -> dict[str, Any]:
        """Return what the metrics say of the optimal potential itself, and their protocols."""
        floor = self._quality(self._data.potential, self._stream("floor"))
        # Rounded: another processor's last digits are the same protocol.
        true = {
            name: float(f"{value:.6g}")
            for name, value in (("w1", self._data.w1), ("w1_standard_error", self._data.w1_error))
        }
        protocol = {"samples": self._samples, "of": "the optimal plan"}
        protocols = {name: protocol if name in ("cosine", "l2") else protocol | true for name in METRICS}
        return {"floor": floor | {f"w1_over_{bound}": floor["w1_dual"] for bound in ("lower", "upper")}} | {
            "protocols": protocols
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

    def _quality(self, potential: Potential, rng: torch.Generator) -> dict[str, float]:
        """Compare ``potential`` and its gradient where P lies with what is optimal there.

        Korotin et al. 2022: cosine and squared distance of the two gradients, averaged over P; the dual value. Both
        means of the dual are over the same rows of the optimal plan, which about halves the variance of the optimal
        potential's. Even that scores below one where rounding puts a point of P on its kink, whose gradient is zero.
        """
        plan = self._data.plan(self._samples, rng)
        slope = self._data.slope(plan.target)
        at = plan.source.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(potential(at).sum(), at)
        with torch.no_grad():
            dual = float((potential(plan.source) - potential(plan.target)).mean())
        return {
            "cosine": float(cosine_similarity(gradient, slope, dim=1, eps=torch.finfo(gradient.dtype).tiny).mean()),
            "l2": float((gradient - slope).square().sum(dim=1).mean()),
            "w1_dual": dual,
            "w1_error": abs(dual - self._data.w1) / self._data.w1,
        }

    def _places(self, rng: torch.Generator) -> dict[str, Tensor]:
        n = self._gradient_samples
        real, fake = self._data.source(n, rng), self._data.target(n, rng)
        epsilon = torch.rand(n, 1, generator=rng, device=self._device)
        return {"real": real, "fake": fake, "interpolated": torch.lerp(fake, real, epsilon)}

    def _stream(self, draw: str) -> torch.Generator:
        return stream(self._seed, f"evaluation/{draw}", self._device)
