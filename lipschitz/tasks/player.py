"""Train one network of a task: its optimiser and constraints, its update, and where a constraint's hooks are called."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Batch, Constraint, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.constraints.stored_sigma import StoredSigmas
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.observe import LENGTH, Ring
from lipschitz.random_streams import seeded
from lipschitz.tasks.losses import GANLoss
from lipschitz.tasks.precision import Precision, forward_precision, matmul_precision
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.side_stream import SideStream
from lipschitz.tasks.terms import Terms


class Player:
    """A network, already wrapped by its constraints, with its optimiser and its last losses."""

    def __init__(
        self,
        net: nn.Module,
        setting: Setting,
        device: torch.device,
        constraints: Sequence[Constraint] = (),
        precision: Precision = "float32",
    ) -> None:
        self.net = net
        self._setting = setting
        self._parameters = list(net.parameters())
        self.optimiser = setting.build(net, device)
        self.losses = Ring(LENGTH, device)
        self._constraints = constraints
        self._precision = precision

    def set_requires_grad(self, flag: bool) -> None:
        """Set ``requires_grad`` of all parameters: False while the other network is updated."""
        for parameter in self._parameters:
            parameter.requires_grad_(flag)

    @property
    def loss(self) -> Tensor:
        """The last loss, a scalar."""
        return self.losses.last

    def measured_losses(self, name: str) -> dict[str, float]:
        """Return the last loss and the mean of the last `LENGTH`, by metric name."""
        return {f"loss/{name}": float(self.loss), f"loss_mean/{name}": self.losses.mean()}

    def decay_learning_rate(self, progress: float | Tensor) -> None:
        """Set, in place, the learning rate of the setting after the share ``progress`` of the run."""
        if self._setting.decay != "none":
            for group in self.optimiser.param_groups:
                group["lr"].copy_(torch.as_tensor(self._setting.lr_at(progress)))

    @torch.no_grad()
    def update_constraints(self) -> None:
        """Advance the state of the constraints, such as a power iteration, before an update."""
        for constraint in self._constraints:
            constraint.update(self.net)

    def update(self, loss: Tensor) -> None:
        """Make one optimiser step on ``loss``, then project the weights onto the constraints' sets.

        Under tf32 the whole backward pass is in TF32, also through penalties and reparametrised weights.
        """
        self.optimiser.zero_grad(set_to_none=True)
        with matmul_precision(self._precision):
            torch.autograd.backward(loss)
        self.optimiser.step()
        with torch.no_grad():
            for constraint in self._constraints:
                constraint.project(self.net)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the network and the last losses."""
        return {"net": copied(self.net), "losses": self.losses.state_dict()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore what `snapshot` returned; the optimiser is unchanged."""
        self.net.load_state_dict(snapshot["net"])
        self.losses.load_state_dict(snapshot["losses"])

    def state_dict(self) -> dict[str, Any]:
        """Return network, last losses and optimiser."""
        return {
            "net": self.net.state_dict(),
            "losses": self.losses.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. The optimiser's tensors are new, so a CUDA graph must be captured after.

        Options of the optimiser, such as fused kernels, stay those of this process; of them only a learning rate that
        decays is restored.
        """
        self.load_snapshot(state)
        options = [{key: group[key] for key in group if key != "params"} for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, ours in zip(self.optimiser.param_groups, options, strict=True):
            if isinstance(ours["lr"], Tensor):
                ours["lr"].copy_(torch.as_tensor(group["lr"]))
            group.update(ours)


class BoundedPlayer(Player):
    """A network of samples of ``shape``, bounded by the terms' constraints, which draw from ``rng``."""

    def __init__(self, net: nn.Module, shape: tuple[int, ...], terms: Terms, rng: torch.Generator) -> None:
        with seeded(terms.seed, "constraint"):
            net = constrain(net.to(terms.device), terms.constraints, shape)
        setting = terms.setting.of_discriminator()
        super().__init__(net, setting, terms.device, terms.constraints, terms.training.precision)
        self._rng = rng
        self._advances = any(one.advances_in_forward() for one in terms.constraints)
        self._sigmas = StoredSigmas(nn.Identity() if self._advances else net)
        self._cached = nullcontext if self._advances else parametrize.cached
        self._side = SideStream(terms.device)
        self._side.keep((*net.parameters(), *net.buffers(), self._sigmas.values))

    def update_constraints(self) -> None:
        """Advance the state of the constraints, and compute σ of the layers for the forward passes of the update."""
        super().update_constraints()
        self._sigmas.compute()

    def update_by(self, judge: Callable[[], tuple[Tensor, Batch]], penalised: nn.Module) -> None:
        """Make one update: the constraints' state, the loss, the penalties, the optimiser, and the projections.

        Args:
            judge: makes the forward pass of the loss; returns the loss and the batch that penalties see.
            penalised: the network as penalties see it, ``(n, *shape)`` -> ``(n, 1)``.
        """
        self.set_requires_grad(True)
        if not self._side.join():
            self.update_constraints()
        # Cached: a reparametrised weight is computed once, and the penalty sees the same one as the loss.
        with self._cached(), self._sigmas.used():
            loss, batch = judge()
            self.losses.write(loss)
            with torch.no_grad():
                for constraint in self._constraints:
                    constraint.track(self.net, batch)
            for constraint in self._constraints:
                # Outside autocast: a gradient by the input is never taken in bfloat16. A penalty without one may be the
                # small difference of large products, such as W^T W - I, which TF32 would round away.
                with matmul_precision(self._precision if constraint.double_backward else "float32"):
                    loss = loss + constraint.penalty(penalised, batch, self._rng)
        self.update(loss)


class Discriminator(BoundedPlayer):
    """A discriminator of samples of ``shape``, bounded by the terms' constraints, which draw from ``rng``."""

    def __init__(self, net: nn.Module, shape: tuple[int, ...], terms: Terms, rng: torch.Generator) -> None:
        super().__init__(net, shape, terms, rng)
        assert isinstance(terms.loss, GANLoss)
        self._objective = terms.loss
        self._forks = all(
            one.updates_buffers_only or type(one).update is Constraint.update for one in terms.constraints
        )
        # On a CPU half a batch fits its caches better; on a GPU one pass launches half as many kernels.
        separate = terms.device.type == "cpu" or self._advances or any(batch_dependent(self.net))
        self._separate_passes = separate

    def update_constraints_early(self) -> None:
        """Update the constraints' state for the next `step` now, if that may run beside what is done until then."""
        if self._forks:
            with self._side.fork():
                self.update_constraints()

    def compute_sigmas_early(self) -> None:
        """Compute σ of the layers for the next `judge` now, beside what is done until then."""
        if len(self._sigmas):
            with self._side.fork():
                self._sigmas.compute()

    def judge(self, generated: Tensor, labels: Tensor | None = None, *, real: Sequence[Tensor] = ()) -> list[Tensor]:
        """Return the outputs ``(n, 1)`` for samples ``(n, *shape)``, through which a generator is updated.

        Then those for each batch in ``real``, of the same classes, without a graph.
        """
        if not self._side.join():
            self._sigmas.compute()
        given = () if labels is None else (labels,)
        with (
            # Cached: with real samples there are several passes, and the weights do not change.
            parametrize.cached() if real else nullcontext(),
            self._sigmas.used(),
            forward_precision(self._precision, generated.device, self.net),
        ):
            outputs: list[Tensor] = [self.net(generated, *given)]
            with torch.no_grad():
                outputs += [self.net(samples, *given) for samples in real]
            return outputs

    def step(self, real: Tensor, generated: Tensor, labels: Tensor | None = None) -> None:
        """Make one update on real and generated samples ``(n, *shape)``, both of the classes ``labels`` ``(n,)``."""
        net = self.net if labels is None else Labelled(self.net, labels)

        def judge() -> tuple[Tensor, Batch]:
            with forward_precision(self._precision, real.device, self.net):
                outputs = self._outputs(net, real, generated)
            judged = [output.to(real.dtype) for output in outputs]
            return self._objective.discriminator(*judged), Batch(real, generated, labels, *judged)

        self.update_by(judge, net)

    def _outputs(self, net: nn.Module, real: Tensor, generated: Tensor) -> Sequence[Tensor]:
        """Return D(real) and D(generated), from one forward pass if that is faster and no layer mixes samples."""
        if self._separate_passes:
            return net(real), net(generated)
        outputs: Tensor = net(torch.cat([real, generated]))
        return outputs.chunk(2)


def copied(net: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state of ``net``."""
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


def players_are_finite(players: Iterable[Player]) -> bool:
    """Return whether the last losses and all parameters and buffers of the networks are finite."""
    tensors = [
        tensor
        for player in players
        for tensor in (*player.losses.tensors(), *player.net.parameters(), *player.net.buffers())
    ]
    floating = [value.detach() for value in tensors if value.is_floating_point()]
    return bool(torch.isfinite(torch.stack(torch._foreach_norm(floating))).all())
