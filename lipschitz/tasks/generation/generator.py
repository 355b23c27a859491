"""Train a generator: its constraints, its update, and the moving average of its weights."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import constrain
from lipschitz.random_streams import seeded
from lipschitz.tasks.memory_format import maps_in_memory_format, to_memory_format
from lipschitz.tasks.player import Player, copied
from lipschitz.tasks.terms import Terms


class Generator(Player):
    """A generator of samples from latents ``(n, latent)``, bounded by the terms' generator constraints.

    If the terms ask for it, it keeps an exponential moving average of its weights (Yazıcı et al. 2019,
    arXiv:1806.04498). After each update, average <- decay * average + (1 - decay) * weights, starting from the initial
    weights, or from those after ``ema_start`` updates. Buffers, such as running statistics and the state of
    constraints, are copied. An evaluation gives the average running statistics of its own.
    """

    def __init__(self, net: nn.Module, latent: int, terms: Terms) -> None:
        with seeded(terms.seed, "generator_constraint"):
            net = constrain(net.to(terms.device), terms.generator_constraints, (latent,))
        super().__init__(net, terms.setting, terms.device, terms.generator_constraints, terms.training.precision)
        self.average = None if terms.training.ema is None else copy.deepcopy(net).requires_grad_(False)
        self._decay, self._start = terms.training.ema or 0.0, terms.training.ema_start or 0
        # Counted on the device, so that a CUDA graph can capture it.
        self._updates = torch.zeros((), dtype=torch.int64, device=terms.device)
        self._layout = terms.training.layout

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the samples ``(n, *shape)`` of a training step, with maps and images in the terms' memory format."""
        with maps_in_memory_format(self.net, self._layout):
            samples: Tensor = self.net(latents) if labels is None else self.net(latents, labels)
        return to_memory_format(samples, self._layout)

    def update(self, loss: Tensor) -> None:
        """Make one optimiser step on ``loss``, and update the average."""
        super().update(loss)
        if self.average is None:
            return
        with torch.no_grad():
            averages: list[Tensor] = list(self.average.parameters())
            weights: list[Tensor] = list(self.net.parameters())
            if self._start:
                self._updates.add_(1)
                share = torch.where(self._updates > self._start, 1 - self._decay, 1.0)
                steps = torch._foreach_sub(weights, averages)
                torch._foreach_mul_(steps, share)
                torch._foreach_add_(averages, steps)
            else:
                torch._foreach_lerp_(averages, weights, 1 - self._decay)
            for averaged, buffer in zip(self.average.buffers(), self.net.buffers(), strict=True):
                averaged.copy_(buffer)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the network, its average and the last losses."""
        return super().snapshot() | self._average_state(copied)

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore what `snapshot` returned; the optimiser is unchanged."""
        super().load_snapshot(snapshot)
        if self.average is not None:
            self.average.load_state_dict(snapshot["average"])
            self._updates.copy_(torch.as_tensor(snapshot.get("updates", 0)))

    def state_dict(self) -> dict[str, Any]:
        """Return network, average, last losses and optimiser."""
        return super().state_dict() | self._average_state(nn.Module.state_dict)

    def _average_state(self, state_of: Callable[[nn.Module], dict[str, Any]]) -> dict[str, Any]:
        started = {"updates": int(self._updates)} if self._start else {}
        return {} if self.average is None else {"average": state_of(self.average), **started}
