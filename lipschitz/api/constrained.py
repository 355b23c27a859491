"""Put a Lipschitz constraint on a network of yours, and call its hooks in a training loop of yours."""

from collections.abc import Sequence

import torch
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from lipschitz.config import Entry
from lipschitz.constraints.base import CONSTRAINTS, Batch, Constraint
from lipschitz.constraints.base import constrain as apply_constraints
from lipschitz.errors import InputError, found
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.extensions.entry import config_of

Method = Constraint | Entry
"""A constraint, or how a sweep file names it: its name, or ``{name: {field: value}}``."""


class Constrained(nn.Module):
    """A network bounded by constraints, called as the network itself; `constrain` makes it.

    It is a torch module: it has the network's parameters, moves and is saved like any other. Three calls make a
    training step one of the method::

        for real in batches:
            critic.update()
            fake = generator(torch.randn(64, 128)).detach()
            loss = critic(fake).mean() - critic(real).mean() + critic.penalty(real, fake)
            optimiser.zero_grad(), loss.backward(), optimiser.step()
            critic.project()

    Each is a no-op for a method that does not need it, so that the same loop trains any method.

    Attributes:
        net: the network as the constraints changed it, such as with normalised weights.
        constraints: the methods with their hyperparameters.
        shape: shape of one sample, without the batch.
    """

    def __init__(self, net: nn.Module, constraints: Sequence[Constraint], shape: tuple[int, ...]) -> None:
        """Change ``net`` as the constraints ask, in place where they can.

        Raises:
            Refusal: a constraint does not support this network, or cannot be combined with the others.
        """
        super().__init__()
        self.net = apply_constraints(net, constraints, shape)
        self.constraints = tuple(constraints)
        self.shape = shape

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return what the network returns for samples ``(n, *shape)`` and, if it takes them, labels ``(n,)``."""
        outputs: Tensor = self.net(*inputs)
        return outputs

    @torch.no_grad()
    def update(self) -> None:
        """Update the methods' state, such as by a step of power iteration: before each update of the network."""
        for constraint in self.constraints:
            constraint.update(self.net)

    def penalty(
        self,
        real: Tensor,
        fake: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        real_outputs: Tensor | None = None,
        fake_outputs: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return the sum of the methods' penalties, a scalar to add to the loss; zero for methods without one.

        Call it once an update, after the forward passes of the loss: some methods track their outputs. Penalties are
        computed outside of autocast, because a gradient by the input must not be rounded to half precision.

        Args:
            real: samples of the data ``(n, *shape)``, float32.
            fake: generated samples ``(n, *shape)``, without a graph to the generator; None where there is none.
            labels: classes of the samples ``(n,)``, int64, if the network takes them; real and generated alike.
            real_outputs: the network's outputs on ``real``, ``(n, 1)``, with their graph; the few methods that penalise
                or track outputs need them.
            fake_outputs: the same on ``fake``.
            rng: what random points are drawn from, on the samples' device; torch's global generator by default.

        Raises:
            Refusal: a method needs generated samples, or outputs, and there are none.
        """
        # As in `lipschitz.tasks.player`: outputs of a pass under autocast are float32 again, as the samples are.
        judged = [None if one is None else one.to(real.dtype) for one in (real_outputs, fake_outputs)]
        batch = Batch(real, None if fake is None else fake.detach(), labels, *judged)
        net = self.net if labels is None else Labelled(self.net, labels)
        draws = _global_generator(real.device) if rng is None else rng
        with torch.autocast(real.device.type, enabled=False):
            with torch.no_grad():
                for constraint in self.constraints:
                    constraint.track(self.net, batch)
            total = real.new_zeros(())
            for constraint in self.constraints:
                total = total + constraint.penalty(net, batch, draws)
        return total

    @torch.no_grad()
    def project(self) -> None:
        """Project the weights onto the methods' feasible sets, in place: after each step of the optimiser."""
        for constraint in self.constraints:
            constraint.project(self.net)

    def extra_repr(self) -> str:
        """Return the labels of the constraints."""
        return "+".join(constraint.label() for constraint in self.constraints)


def constrain(net: nn.Module, constraints: Method | Sequence[Method], shape: tuple[int, ...]) -> Constrained:
    """Bound the Lipschitz constant of ``net`` by one or several methods.

    Build the optimiser on what is returned, because a method may replace parameters. Initial vectors of power
    iterations and the like are drawn from torch's global generator.

    Args:
        net: a torch module, samples ``(n, *shape)`` -> ``(n, 1)``, or logits ``(n, classes)``. It is changed in place
            where the method can; keep a ``copy.deepcopy`` of it to compare with.
        constraints: as in a sweep file, one or a list: ``"spectral_normalization"``, ``{"gradient_penalty":
            {"weight": 1.0}}``, ``"my_method.py:MyMethod"``, or a `Constraint`. ``lipschitz list constraints`` lists
            them.
        shape: shape of one sample without the batch, such as ``(3, 32, 32)``: σ of a convolution depends on it.

    Raises:
        InputError: the method is unknown, or a field is wrong.
        Refusal: a method cannot bound a layer of this network.
    """
    if not isinstance(net, nn.Module):
        raise InputError(f"constrain: expected a torch.nn.Module, got {type(net).__name__}")
    if not (isinstance(shape, Sequence) and shape and all(isinstance(size, int) and size > 0 for size in shape)):
        raise InputError(f"constrain: expected the shape of one sample, such as (3, 32, 32), got {found(shape)}")
    methods = [constraints] if isinstance(constraints, str | dict | Constraint) else constraints
    return Constrained(net, [_constraint(method) for method in methods], tuple(shape))


def _constraint(method: Method) -> Constraint:
    if isinstance(method, Constraint):
        return method
    try:
        return config_of(CONSTRAINTS, method)
    except PydanticCustomError as error:
        raise InputError(f"constrain: {error.message()}") from None


def _global_generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        # Their number is known once CUDA is initialised, which a tensor on the device has done.
        return torch.cuda.default_generators[index]
    return torch.default_generator
