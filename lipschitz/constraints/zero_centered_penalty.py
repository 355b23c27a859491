"""Zero-centered gradient penalties R1 and R2: the squared input gradient on real or generated samples."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradients


class ZeroCenteredPenalty(Constraint):
    """Pull the input gradient to zero on real (R1) or generated samples (R2): add γ/2 E[‖∇ₓD‖²] to the loss.

    R1 is eq. 9 of Mescheder et al. 2018, R2 is eq. 10; ``both`` is their sum. D is the output before any sigmoid. γ =
    10 is the paper's value. The authors' code omits the factor 1/2, so its ``reg_param: 10`` corresponds to γ = 20
    here.
    """

    source = "Mescheder et al. 2018, arXiv:1801.04406, eq. 9-10"
    promise = "heuristic"
    double_backward = True

    weight: Factor = 10.0
    """γ, twice the factor of the penalty."""
    points: Literal["real", "generated", "both"] = "real"
    """Where the gradient is taken: ``real`` samples (R1), ``generated`` samples (R2), or ``both``."""

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return γ/2 times the mean of ‖∇ₓD‖², summed over real and generated samples if ``points`` is ``both``.

        Raises:
            ValueError: ``points`` needs generated samples and the task has none.
        """
        points = self._points(batch)
        # Outputs do not depend on the rest of the batch, so one pass serves real and generated samples.
        squares = input_gradients(net, torch.cat(points)).square().sum(dim=1)
        means = [part.mean() for part in torch.split(squares, [len(part) for part in points])]
        return self.weight / 2 * torch.stack(means).sum()

    def _points(self, batch: Batch) -> list[Tensor]:
        if self.points == "real":
            return [batch.real]
        generated = generated_samples(batch, f"{self.name()} on {self.points}", "points: real")
        return [generated] if self.points == "generated" else [batch.real, generated]
