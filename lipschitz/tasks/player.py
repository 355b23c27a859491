"""A network in training: its optimiser, its last losses, and how a discriminator bounded by constraints is updated."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Batch, Constraint, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.random_streams import seeded
from lipschitz.tasks.memory_format import laid_out, maps_laid_out
from lipschitz.tasks.precision import Precision, forward_passes, products
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Terms
from lipschitz.training.ring import Ring

LOSSES_KEPT = 50
"""Losses of each network that are kept: what a recorded mean is over."""


class Player:
    """A network, wrapped by its constraints already, with its optimiser and its last losses."""

    def __init__(
        self,
        net: nn.Module,
        setting: Setting,
        device: torch.device,
        constraints: Sequence[Constraint] = (),
        lr: float | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Take the setting's learning rate where ``lr`` is None."""
        self.net = net
        self._setting = setting if lr is None else setting.model_copy(update={"lr": lr})
        self._parameters = list(net.parameters())
        self.optimiser = self._setting.build(self._parameters, device)
        self.losses = Ring(LOSSES_KEPT, device)
        self._constraints = constraints
        self._precision = precision

    def learns(self, whether: bool) -> None:
        """Let the parameters ask for gradients, or not, while another network learns."""
        for parameter in self._parameters:
            parameter.requires_grad_(whether)

    @property
    def loss(self) -> Tensor:
        """The last loss, a scalar."""
        return self.losses.last

    def measured_losses(self, name: str) -> dict[str, float]:
        """Return the last loss and the mean of the last `LOSSES_KEPT`, by metric name."""
        return {f"loss/{name}": float(self.loss), f"loss_mean/{name}": self.losses.mean()}

    def decay(self, progress: float | Tensor) -> None:
        """Set the learning rate that the setting has after the share ``progress`` of the run, in place."""
        if self._setting.decay != "none":
            for group in self.optimiser.param_groups:
                group["lr"].copy_(torch.as_tensor(self._setting.lr_at(progress)))

    @torch.no_grad()
    def prepare(self) -> None:
        """Advance the state of the constraints, before an update."""
        for constraint in self._constraints:
            constraint.update(self.net)

    def update(self, loss: Tensor) -> None:
        """Make one step of the optimiser down ``loss``, and put the weights back into the constraints' sets.

        Under tf32 the whole backward pass is in TF32, that of penalties and of what constraints make of weights, too.
        """
        self.optimiser.zero_grad(set_to_none=True)
        with products(self._precision):
            torch.autograd.backward(loss)
        self.optimiser.step()
        with torch.no_grad():
            for constraint in self._constraints:
                constraint.project(self.net)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the network and the last losses."""
        return {"net": _copied(self.net), "losses": self.losses.state_dict()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what `snapshot` returned; the optimiser stays."""
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
        """Go back to what `state_dict` returned; the optimiser's tensors are new ones, which no graph knows."""
        self.load_snapshot(state)
        options = [{key: group[key] for key in group if key != "params"} for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, ours in zip(self.optimiser.param_groups, options, strict=True):
            # What the device asks for is this process's affair; of the options only a rate that decays has a state.
            if isinstance(ours["lr"], Tensor):
                ours["lr"].copy_(torch.as_tensor(group["lr"]))
            group.update(ours)


class Generator(Player):
    """A generator of samples from latents ``(n, latent)``, bounded by the terms' generator constraints.

    Where the terms say so, it keeps an exponential moving average of its weights (Yazıcı et al. 2019,
    arXiv:1806.04498): after each update, average <- decay * average + (1 - decay) * weights, from the initial weights
    on. Buffers, such as running statistics and what constraints keep, are taken as they are.
    """

    def __init__(self, net: nn.Module, latent: int, terms: Terms) -> None:
        with seeded(terms.seed, "generator_constraint"):
            net = constrain(net.to(terms.device), terms.generator_constraints, (latent,))
        super().__init__(
            net, terms.setting, terms.device, terms.generator_constraints, precision=terms.training.precision
        )
        self.average = None if terms.training.ema is None else copy.deepcopy(net).requires_grad_(False)
        self._decay = terms.training.ema or 0.0
        self._layout = terms.training.layout

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the samples ``(n, *shape)`` of a training step, whose maps and images are in the terms' layout."""
        with maps_laid_out(self.net, self._layout):
            samples: Tensor = self.net(latents) if labels is None else self.net(latents, labels)
        return laid_out(samples, self._layout)

    def update(self, loss: Tensor) -> None:
        """Make one step of the optimiser down ``loss``, and move the average."""
        super().update(loss)
        if self.average is None:
            return
        with torch.no_grad():
            averages: list[Tensor] = list(self.average.parameters())
            weights: list[Tensor] = list(self.net.parameters())
            torch._foreach_lerp_(averages, weights, 1 - self._decay)
            for kept, buffer in zip(self.average.buffers(), self.net.buffers(), strict=True):
                kept.copy_(buffer)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the network, its average and the last losses."""
        return super().snapshot() | ({} if self.average is None else {"average": _copied(self.average)})

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what `snapshot` returned; the optimiser stays."""
        super().load_snapshot(snapshot)
        if self.average is not None:
            self.average.load_state_dict(snapshot["average"])

    def state_dict(self) -> dict[str, Any]:
        """Return network, average, last losses and optimiser."""
        return super().state_dict() | ({} if self.average is None else {"average": self.average.state_dict()})


class Discriminator(Player):
    """A discriminator of samples of ``shape``, bounded by the terms' constraints, whose randomness is ``rng``."""

    def __init__(self, net: nn.Module, shape: tuple[int, ...], terms: Terms, rng: torch.Generator) -> None:
        with seeded(terms.seed, "constraint"):
            net = constrain(net.to(terms.device), terms.constraints, shape)
        lr = terms.setting.discriminator_lr
        super().__init__(net, terms.setting, terms.device, terms.constraints, lr, terms.training.precision)
        self._objective, self._rng = terms.loss, rng
        # On a CPU halves stay longer in its caches; on a GPU one pass has half as many kernels to launch.
        self._apart = terms.device.type == "cpu" or any(batch_dependent(net))

    def step(self, real: Tensor, generated: Tensor, labels: Tensor | None = None) -> None:
        """Make one update on samples ``(n, *shape)`` of either kind, whose classes are ``labels`` ``(n,)``, if any."""
        self.learns(True)
        self.prepare()
        net = self.net if labels is None else Labelled(self.net, labels)
        # Cached: a reparametrised weight is computed once, and the penalty sees the one that the loss saw.
        with parametrize.cached():
            with forward_passes(self._precision, real.device, self.net):
                judged = self._judged(net, real, generated)
            loss = self._objective.discriminator(*(outputs.to(real.dtype) for outputs in judged))
            self.losses.write(loss)
            for constraint in self._constraints:
                # Outside of autocast: a gradient by the input is never taken in bfloat16. Other penalties may be the
                # small rest of a large product, such as W^T W - I, of which TF32 would leave little.
                with products(self._precision if constraint.double_backward else "float32"):
                    loss = loss + constraint.penalty(net, Batch(real, generated, labels), self._rng)
        self.update(loss)

    def _judged(self, net: nn.Module, real: Tensor, generated: Tensor) -> Sequence[Tensor]:
        """Return D(real) and D(generated): from one pass where that is quicker, and no module would mix the two."""
        if self._apart:
            return net(real), net(generated)
        outputs: Tensor = net(torch.cat([real, generated]))
        return outputs.chunk(2)


def _copied(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


def are_finite(players: Iterable[Player]) -> bool:
    """Say whether the last losses, every parameter and all that a method or a norm layer keeps are finite."""
    tensors = [
        tensor
        for player in players
        for tensor in (*player.losses.tensors(), *player.net.parameters(), *player.net.buffers())
    ]
    floating = [value.detach() for value in tensors if value.is_floating_point()]
    return bool(torch.isfinite(torch.stack(torch._foreach_norm(floating))).all())
