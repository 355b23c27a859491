"""Zero-centered gradient penalties R1 and R2: the input gradient is pulled to zero on real or on generated samples."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradients


class ZeroCenteredPenalty(Constraint):
    """Pull ∇D to 0 on real samples (R1), on generated ones (R2), or on both.

    γ/2 E‖∇D(x)‖² over real x (R1, Mescheder et al. 2018, eq. 9) or generated x (R2, eq. 10), D before any sigmoid;
    ``both`` is the sum of the two. γ = 10 is the paper's; the authors' code leaves out the factor 1/2, so that its
    ``reg_param: 10`` is γ = 20 here. A square has a gradient everywhere: no norm is taken.
    """

    source = "Mescheder et al. 2018, arXiv:1801.04406, eq. 9-10"
    promise = "heuristic"
    double_backward = True

    weight: NonNegativeFloat = 10.0
    """γ; half of it is the factor of the penalty."""
    points: Literal["real", "generated", "both"] = "real"
    """Where the gradient is taken: ``real`` samples (R1), ``generated`` ones (R2), or ``both``."""

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation: the gradient of one sample's output is then not a function of that sample."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return γ/2 times the mean squared gradient norm, summed over the kinds of points.

        Raises:
            ValueError: the points need generated samples, which this task has none of.
        """
        points = self._points(batch)
        # No module depends on the batch, so one pass serves every kind; each has its own mean.
        squares = input_gradients(net, torch.cat(points)).square().sum(dim=1)
        means = [part.mean() for part in torch.split(squares, [len(part) for part in points])]
        return self.weight / 2 * torch.stack(means).sum()

    def _points(self, batch: Batch) -> list[Tensor]:
        if self.points == "real":
            return [batch.real]
        generated = generated_samples(batch, f"{self.name()} on {self.points}", "points: real")
        return [generated] if self.points == "generated" else [batch.real, generated]
