"""The `Constraint` base class: hyperparameters, and hooks into the training of a discriminator."""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from lipschitz.config import Config
from lipschitz.errors import InputError, nearest
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.models.base import Model
from lipschitz.models.initialisation import Init

AnyModel = TypeVar("AnyModel", bound=Model)


class Batch(NamedTuple):
    """The data that a penalty may use, all on the discriminator's device: what its loss was computed from.

    Samples are those that the discriminator judged: augmented ones, if the run augments them.
    """

    real: Tensor
    """``(n, ...)`` samples of the data set."""
    fake: Tensor | None
    """``(n, ...)`` generated samples, detached from the generator; None if the task has no generator."""
    labels: Tensor | None = None
    """``(n,)`` int64 class labels, None without labels."""
    real_outputs: Tensor | None = None
    """``(n, 1)`` outputs on ``real``, with their graph, from the loss's forward pass; None if there was none."""
    fake_outputs: Tensor | None = None
    """The same on ``fake``."""

    def outputs(self, method: str) -> tuple[Tensor, Tensor]:
        """Return the outputs on real and on generated samples.

        Raises:
            Refusal: there are none; the message contains ``method``.
        """
        if self.real_outputs is None or self.fake_outputs is None:
            raise Refusal(
                f"{method} needs outputs on real and generated samples, but this task has none; "
                "allowed: task: generation"
            )
        return self.real_outputs, self.fake_outputs


class Refusal(ValueError):
    """A method cannot be applied to this network; the message is one line with the method, layer and reason."""


class Constraint(Config):
    """A way to bound a network's Lipschitz constant.

    Each subclass is a frozen record of the method's hyperparameters, in a file named after the method. It overrides the
    hooks that the method needs; every hook does nothing by default. State, such as singular vectors, is kept in buffers
    that `wrap` registers on the network.
    """

    source: ClassVar[str]
    """Paper, arXiv number, equation or algorithm."""
    promise: ClassVar[Literal["certified", "heuristic", "none"]]
    """What the method guarantees: ``certified``, ``heuristic`` or ``none``.

    ``certified``: the operator norm of every wrapped layer is bounded, and a layer that cannot be bounded is refused.
    ``heuristic``: the Lipschitz constant is pushed towards a bound, without a guarantee. ``none``: no bound is
    intended.
    """
    double_backward: ClassVar[bool] = False
    """Whether the penalty or the forward pass contains an input gradient, which costs a second backward pass.

    If the method has no penalty, the input gradient is in the forward pass, which is not supported in bfloat16. A
    penalty without an input gradient is never computed in TF32.
    """

    updates_buffers_only: ClassVar[bool] = False
    """Whether `update` reads the network, writes in place to buffers of `wrap`, and has no other effect.

    Then on a GPU it runs beside the generator's forward pass.
    """

    scale_invariant: ClassVar[bool] = False
    """Whether `wrap` reparametrises weights by a map that is the same for W and for any positive multiple of W.

    Of two such maps the later one undoes the scale that the earlier one gives, so they are not combined.
    """

    start: ClassVar[Init | None] = None
    """Initial weights in the released code of the method's authors, for ``init: method``; None if not known."""

    start_of_residual: ClassVar[Init | None] = None
    """Those of their residual networks, where they differ; None for `start`."""

    def advances_in_forward(self) -> bool:
        """Return whether forward passes of training change the method's state: then none is left out or shared."""
        return False

    uncapturable: ClassVar[str] = ""
    """Why a training step with this method cannot be captured in a CUDA graph; empty if no reason is known."""

    def why_uncapturable(self) -> str:
        """Return why a training step with these hyperparameters cannot be captured, or an empty string."""
        return self.uncapturable

    def changes_network(self) -> bool:
        """Return whether `wrap` changes the network; a method that does may be listed once."""
        return type(self).wrap is not Constraint.wrap

    @classmethod
    def check_class(cls) -> None:
        """Check that a class from outside the package declares its promise.

        Raises:
            InputError: it does not, or promises something unknown.
        """
        promises = ("certified", "heuristic", "none")
        promise = getattr(cls, "promise", None)
        if isinstance(promise, str) and promise not in promises:
            raise InputError(f"{cls.__name__}: promise '{promise}' is unknown; {nearest(promise, promises)}")
        if promise not in promises:
            raise InputError(f"{cls.__name__} does not say its promise; allowed: {', '.join(promises)}")

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise ``net`` or register state on it, and return the network to train.

        Called once, before the optimiser is built. Raw parameters keep their names; what is added lies on the
        network's device. A sweep is checked by wrapping its networks on the meta device, so this hook must not branch
        on the values of tensors.

        Args:
            net: the network, which may be changed in place.
            shape: shape of one sample, without the batch.

        Raises:
            Refusal: the method cannot bound a layer that it promises to bound.
        """
        return net

    def check(self, net: nn.Module) -> None:
        """Check that the method supports ``net``; called after all constraints of the run have wrapped it.

        Raises:
            Refusal: the method does not support this network.
        """

    def update(self, net: nn.Module) -> None:
        """Update the method's state, such as by power iteration.

        Called once before each discriminator update, without gradients.
        """

    def track(self, net: nn.Module, batch: Batch) -> None:
        """Update the method's state by the outputs of this update's forward pass, such as running means of them.

        Called once a discriminator update, between the loss and the penalty, without gradients.
        """

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the penalty, a scalar that is added to the discriminator's loss.

        ``rng`` is the random stream of the constraint, on the network's device.
        """
        return batch.real.new_zeros(())

    def project(self, net: nn.Module) -> None:
        """Project the weights onto the feasible set, in place.

        Called after each optimiser step, without gradients.
        """


def uncapturable_reason(constraints: Sequence[Constraint]) -> str | None:
    """Return why a training step with ``constraints`` cannot be captured in a CUDA graph, or None if it can."""
    reasons = [f"{one.name()}: {why}" for one in constraints if (why := one.why_uncapturable())]
    return "; ".join(reasons) or None


def with_start(model: AnyModel, constraints: Sequence[Constraint]) -> AnyModel:
    """Return ``model``, with the initial weights of the constraints' authors where its ``init`` is ``method``.

    Constraints that declare none start from the model's default. Residual networks may have a start of their own.

    Raises:
        Refusal: two constraints declare different initial weights.
    """
    if getattr(model, "init", None) != "method":
        return model
    declared = {
        start: one.name()
        for one in constraints
        if (start := (one.start_of_residual if model.residual else None) or one.start)
    }
    if len(declared) > 1:
        said = ", ".join(f"{name} {init}" for init, name in declared.items())
        raise Refusal(f"init 'method' is not one start ({said}); allowed: one of them")
    return model.model_copy(update={"init": next(iter(declared), None)})


def constrain(net: nn.Module, constraints: Sequence[Constraint], shape: tuple[int, ...]) -> nn.Module:
    """Apply the constraints to ``net`` in the given order, check them, and return the network to train.

    ``shape`` is the shape of one sample, without the batch.

    Raises:
        Refusal: a constraint does not support this network, or cannot be combined with the others.
    """
    stateful = [type(one) for one in constraints if one.changes_network()]
    for kind in stateful:
        if stateful.count(kind) > 1:
            raise Refusal(f"{kind.name()} is listed twice; allowed: each method that changes the network once")
    rescaling = [one.name() for one in constraints if one.scale_invariant]
    if len(rescaling) > 1:
        raise Refusal(
            f"{rescaling[0]} and {rescaling[1]} both normalise every weight, so the later one undoes the scale that "
            "the earlier one gives; allowed: one of them"
        )
    for constraint in constraints:
        net = constraint.wrap(net, shape)
    for constraint in constraints:
        constraint.check(net)
    return net


CONSTRAINTS = ExtensionPoint("constraint", "constraints", "lipschitz.constraints", Constraint)
