"""Generation: alternating training of a GAN, in which the discriminator's constraint is the one thing that changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Batch, Constraint, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.datasets.base import Data
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model
from lipschitz.streams import stream, stream_seed
from lipschitz.tasks.evaluation import Evaluator, Memory
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.measurement import Measured
from lipschitz.tasks.settings import Setting
from lipschitz.training.task import Selection

STREAMS = ("data", "latents_discriminator", "latents_generator", "constraint")


class Generation:
    """One GAN: a generator and a discriminator of ``model``, the discriminator bounded by ``constraints``.

    Two of them that differ in their constraints alone start from bit-identical raw parameters, and see the same batches
    and the same noise.
    """

    def __init__(
        self,
        data: Data,
        model: Model,
        constraints: Sequence[Constraint],
        loss: Loss,
        setting: Setting,
        *,
        seed: int,
        batch_size: int,
        samples: int,
        gradient_samples: int,
        selection: str,
        device: torch.device,
    ) -> None:
        self.device = device
        self.selection = Selection(selection, METRICS[selection].better or "lower")
        self._data, self._constraints, self._loss, self._setting = data, constraints, loss, setting
        self._batch_size = batch_size
        with _seeded(seed, "weights"):
            networks = model.build(data.shape)
        self._latent = networks.latent
        self.generator, self.discriminator = networks.generator.to(device), networks.discriminator.to(device)
        with _seeded(seed, "constraint"):
            self.discriminator = constrain(self.discriminator, constraints, data.shape)
        self._mixes = any(batch_dependent(self.discriminator))
        self._optimisers = {
            "generator": setting.build(self.generator.parameters()),
            "discriminator": setting.build(self.discriminator.parameters()),
        }
        self._streams = {name: stream(seed, name, device) for name in STREAMS}
        self._losses = {"discriminator": torch.zeros((), device=device), "generator": torch.zeros((), device=device)}
        self._evaluator = Evaluator(
            data,
            latent=networks.latent,
            seed=seed,
            samples=samples,
            gradient_samples=gradient_samples,
            device=device,
        )
        self._memory = Memory(self._evaluator.remember(self.generator), {}, {})
        self._measured = Measured({}, {}, {})

    def step(self, progress: float) -> None:
        """Make n_dis discriminator updates and one generator update."""
        if self._setting.decay != "none":
            for optimiser in self._optimisers.values():
                for group in optimiser.param_groups:
                    group["lr"] = self._setting.lr_at(progress)
        for _ in range(self._setting.n_dis):
            self.discriminator_step()
        self.generator_step()

    def discriminator_step(self) -> None:
        """Make one update of the discriminator on a batch of real and a batch of freshly generated samples."""
        self.discriminator.requires_grad_(True)
        real = self._data.batch(self._batch_size, self._streams["data"])
        with torch.no_grad():
            latents = self._latents(self._batch_size, self._streams["latents_discriminator"])
            generated = self.generator(latents)
            batch = Batch(real, generated)
            for constraint in self._constraints:
                constraint.update(self.discriminator)
        # Cached: a reparametrised weight is computed once, and the penalty sees the one that the loss saw.
        with parametrize.cached():
            loss = self._loss.discriminator(*self._judged(real, generated))
            self._losses["discriminator"] = loss.detach()
            for constraint in self._constraints:
                loss = loss + constraint.penalty(self.discriminator, batch, self._streams["constraint"])
        self._update("discriminator", loss)
        with torch.no_grad():
            for constraint in self._constraints:
                constraint.project(self.discriminator)

    def generator_step(self) -> None:
        """Make one update of the generator; the discriminator's parameters and its method's state stay as they are.

        Only the running statistics of batch normalisation see these samples too, as in any forward pass of training.
        """
        self.discriminator.requires_grad_(False)
        latents = self._latents(self._batch_size, self._streams["latents_generator"])
        loss = self._loss.generator(self.discriminator(self.generator(latents)))
        self._losses["generator"] = loss.detach()
        self._update("generator", loss)

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the two updates that an iteration is made of."""
        return {"ms_discriminator_step": self.discriminator_step, "ms_generator_step": self.generator_step}

    def is_finite(self) -> bool:
        """Say whether the last losses, every parameter and all that a method or a norm layer keeps are finite."""
        networks = self._networks().values()
        tensors = [
            *self._losses.values(),
            *(value for net in networks for value in (*net.parameters(), *net.buffers())),
        ]
        floating = [value.detach() for value in tensors if value.is_floating_point()]
        return bool(torch.isfinite(torch.stack(torch._foreach_norm(floating))).all())

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure quality, σ, gradient norms and losses; randomness comes from the evaluation stream of ``draw``."""
        self._measured = self._evaluator.evaluate(self._networks(), self._memory, draw)
        return self._measured.values | {f"loss/{player}": float(loss) for player, loss in self._losses.items()}

    def end_interval(self) -> None:
        """Keep for the next evaluation what the last one left, and samples of the generator as it is now."""
        self._memory = self._memory.after(self._evaluator.remember(self.generator), self._measured)

    def facts(self) -> dict[str, Any]:
        """Return the floor of each quality metric, real against real, and the metrics' protocols."""
        return self._evaluator.facts()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return samples, spectra and, for points, the value surface, as the report draws them."""
        return self._evaluator.arrays(self._networks(), self._memory)

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimisers, random streams, last losses, and what evaluations left."""
        return {
            "networks": {name: net.state_dict() for name, net in self._networks().items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
            "streams": {name: rng.get_state() for name, rng in self._streams.items()},
            "losses": self._losses,
            "memory": self._memory._asdict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        self.load_snapshot(state)
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, rng in self._streams.items():
            rng.set_state(state["streams"][name])

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that `evaluate` looks at: networks, last losses, what earlier evaluations left."""
        networks = {
            name: {key: value.detach().clone() for key, value in net.state_dict().items()}
            for name, net in self._networks().items()
        }
        return {"networks": networks, "losses": dict(self._losses), "memory": self._memory._asdict()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what a snapshot holds; optimisers and streams stay."""
        for name, net in self._networks().items():
            net.load_state_dict(snapshot["networks"][name])
        self._losses = {name: loss.to(self.device) for name, loss in snapshot["losses"].items()}
        memory = Memory(**snapshot["memory"])
        self._memory = memory._replace(old=memory.old.to(self.device))

    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def _update(self, player: str, loss: Tensor) -> None:
        optimiser = self._optimisers[player]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def _judged(self, real: Tensor, generated: Tensor) -> Sequence[Tensor]:
        """Return D(real) and D(generated): from one pass, unless a module would then mix the two."""
        if self._mixes:
            return self.discriminator(real), self.discriminator(generated)
        outputs: Tensor = self.discriminator(torch.cat([real, generated]))
        return outputs.chunk(2)

    def _latents(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self._latent, generator=rng, device=self.device)


@contextmanager
def _seeded(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global CPU generator by the stream ``name`` for the block, and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, name))
        yield
