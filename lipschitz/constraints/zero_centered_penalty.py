"""Zero-centered gradient penalties R1 and R2: the squared input gradient on real or generated samples."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Factor, Iterations
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradients
from lipschitz.estimation.fixed_labels import without_labels


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

    every: Iterations = 1
    """Discriminator updates from one penalty to the next, which is multiplied by as many ("lazy regularization", Karras
    et al. 2020, arXiv:1912.04958, Appendix B: 16). More than one cannot be captured in a CUDA graph."""

    def why_uncapturable(self) -> str:
        """Return why a step cannot be captured: with ``every`` above one the host decides whether it has a penalty."""
        return "the host counts the updates from one penalty to the next" if self.changes_network() else ""

    def changes_network(self) -> bool:
        """Return whether updates are counted, in a buffer of the network."""
        return self.every > 1

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the number of updates as the buffer ``zero_centered_updates``, where ``every`` is above one."""
        if self.changes_network():
            net.register_buffer("zero_centered_updates", torch.zeros((), dtype=torch.int64, device=_device(net)))
        return net

    def track(self, net: nn.Module, batch: Batch) -> None:
        """Count the update."""
        if self.changes_network():
            net.get_buffer("zero_centered_updates").add_(1)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return γ/2 times the mean of ‖∇ₓD‖², summed over real and generated samples if ``points`` is ``both``.

        With ``every`` above one it is that many times as large in the first of as many updates, and zero in the others.

        Raises:
            Refusal: ``points`` needs generated samples and the task has none.
        """
        if self.changes_network() and (int(without_labels(net).get_buffer("zero_centered_updates")) - 1) % self.every:
            return batch.real.new_zeros(())
        points = self._points(batch)
        # Outputs do not depend on the rest of the batch, so one pass serves real and generated samples.
        squares = input_gradients(net, torch.cat(points)).square().sum(dim=1)
        means = [part.mean() for part in torch.split(squares, [len(part) for part in points])]
        return self.every * self.weight / 2 * torch.stack(means).sum()

    def _points(self, batch: Batch) -> list[Tensor]:
        if self.points == "real":
            return [batch.real]
        generated = generated_samples(batch, f"{self.name()} on {self.points}", "points: real")
        return [generated] if self.points == "generated" else [batch.real, generated]


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device
