"""Follow a traced value back through linear and elementwise steps, and bound the run of them as one chain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.estimation.upper_bound.pooling_and_reshaping import IDENTITIES
from lipschitz.estimation.upper_bound.semidefinite import steps as chain_steps
from lipschitz.estimation.upper_bound.semidefinite.certificate import chain_bound, chain_cost
from lipschitz.estimation.upper_bound.semidefinite.steps import ChannelScale, Convolution, Matrix, Slopes, SpatialSum
from lipschitz.estimation.upper_bound.traced_call import Call, Step, TracedValue, product

ORDER_KEEPING = frozenset(
    ["flatten", "view", "view_as", "_unsafe_view", "reshape", "reshape_as", "ravel", "squeeze", "unsqueeze"]
)
"""By ATen's name: functions that keep the order of the values, so that a flattened map is the same vector."""
FUNCTIONAL_BATCH_NORM = "_native_batch_norm_legit_no_training"
"""Batch normalisation in eval mode in graphs without operators in place: its first result holds the values."""
ROUNDED_AWAY = 1e-9
"""Largest part of a matrix that may be rounding of the constant that its map adds."""
MAX_UNITS = 512
"""Other linear maps become matrices where input and output have at most so many values."""


@dataclass(frozen=True)
class Chain:
    """A value as a chain of steps applied to an earlier value."""

    base: TracedValue
    shape: tuple[int, ...]
    """Of the base, without the batch."""
    steps: tuple[chain_steps.Step, ...] = ()

    @property
    def end(self) -> tuple[int, ...]:
        """The shape of the value, before any flattening."""
        return chain_steps.shapes(self.steps, self.shape)[-1]

    @property
    def has_gain(self) -> bool:
        """Whether the chain as one can have a smaller bound than its steps one by one."""
        return sum(not isinstance(step, Slopes) for step in self.steps) > 1


class ChainBounds:
    """Bounds of chains, each computed once.

    Args:
        flops: operations that may be spent on each chain; see `chain_bound`.
        total: operations of one evaluation of all chains together. The first chain is bounded in any case; a further
            one is not if the sum would then be larger.
    """

    def __init__(self, flops: float, total: float = math.inf) -> None:
        self._flops, self._total, self._spent = flops, total, 0.0
        self._known: dict[tuple[object, ...], tuple[float, Chain]] = {}

    def of(self, chain: Chain) -> float:
        """Return the bound of the steps of ``chain``."""
        key = (chain.shape, *map(_identity, chain.steps))
        if key not in self._known:
            cost = chain_cost(chain.steps, chain.shape) if self._total < math.inf else 0.0
            affordable = not self._spent or self._spent + cost <= self._total
            bound = chain_bound(chain.steps, chain.shape, flops=self._flops) if affordable else math.inf
            self._spent += cost if bound < math.inf else 0.0
            # The chain is kept, so that no other weight gets the memory of one of its weights.
            self._known[key] = bound, chain
        return self._known[key][0]


def _identity(step: chain_steps.Step) -> tuple[object, ...]:
    """Return what tells a step from others; two steps with equal weights in other memory are told apart, too."""
    values = (getattr(step, field.name) for field in fields(step))
    return type(step), *(
        (v.data_ptr(), v._version, v.shape, v.stride()) if isinstance(v, Tensor) else v for v in values
    )


class Chains:
    """The chains of the values of one graph.

    Args:
        bounds: of chains, which other graphs may share.
    """

    def __init__(self, bounds: ChainBounds) -> None:
        self._bounds = bounds
        self._chains: dict[int, Chain] = {}
        self._tightened: dict[int, TracedValue] = {}
        self._kept: list[TracedValue] = []

    def extend(self, value: TracedValue) -> bool:
        """Say whether ``value`` follows from its step's source by steps of a chain, and if so, remember its chain."""
        call = value.call
        further: tuple[chain_steps.Step, ...] | None
        if call is None:
            return False
        if call.name == "getitem" and call.arguments[1:] == (0,) and id(call.inputs[0]) in self._chains:
            source, further = self.of(call.inputs[0]), ()
        elif call.name == FUNCTIONAL_BATCH_NORM and call.is_unary():
            source = self.of(call.inputs[0])
            further = _batch_norm_scale(call, source.end)
        elif value.step is not None and isinstance(value.step.source.value, Tensor):
            source = self.of(value.step.source)
            further = _chain_steps(value.step, call, source)
        else:
            return False
        if further is None:
            return False
        self._kept.append(value)
        self._chains[id(value)] = replace(source, steps=(*source.steps, *further))
        return True

    def of(self, value: TracedValue) -> Chain:
        """Return the chain of ``value``, which may have no steps."""
        return self._chains.get(id(value)) or Chain(value, tuple(value.value.shape[1:]))

    def tightened(self, value: TracedValue) -> TracedValue:
        """Return ``value`` with the smaller of its constant and the bound of its chain times that of the base."""
        if id(value) not in self._tightened:
            self._kept.append(value)
            chain = self._chains.get(id(value))
            found = value
            if chain is not None and chain.has_gain and math.isfinite(chain.base.constant):
                bound = product(self._bounds.of(chain), chain.base.constant)
                found = replace(value, constant=min(value.constant, bound))
            self._tightened[id(value)] = found
        return self._tightened[id(value)]


def _chain_steps(step: Step, call: Call, source: Chain) -> tuple[chain_steps.Step, ...] | None:
    """Return the steps of a chain for ``step``, after those of ``source``; None if there are none that fit."""
    if not _is_float_sample(step.source.value) or not _is_float_sample(call.output):
        return None
    actual, shape = tuple(step.source.value.shape[1:]), source.end
    if step.linear is None:
        assert step.slopes is not None
        return (Slopes(*step.slopes),) if math.isfinite(step.slopes.constant) else None
    if call.name in IDENTITIES:
        return ()
    if call.name == "batch_norm":
        return _batch_norm_scale(call, shape)
    found = _known_linear_steps(step, call, actual, shape)
    if found is None and max(math.prod(shape), call.output.numel()) <= MAX_UNITS:
        found = _dense_matrix(step, actual)
    return found if found is not None and (not found or _agrees(found, step, shape)) else None


def _batch_norm_scale(call: Call, shape: tuple[int, ...]) -> tuple[ChannelScale] | None:
    """Return the scale γ / √(running variance + ε) of a batch normalisation in eval mode."""
    x, weight, _, _, variance, *numbers = call.arguments
    if tuple(x.shape[1:]) != shape:
        return None
    # Not read off outputs, where a large bias leaves little of a small scale.
    scale = (variance + numbers[-1 if call.name == FUNCTIONAL_BATCH_NORM else 2]).rsqrt()
    return (ChannelScale((scale if weight is None else weight * scale).double()),)


def _known_linear_steps(
    step: Step, call: Call, actual: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[chain_steps.Step, ...] | None:
    assert step.linear is not None
    kernel, outputs = step.linear.kernel, tuple(call.output.shape[1:])
    if kernel is not None and not kernel.transposed:
        if not kernel.dimensions:
            return (Matrix(kernel.weight.double()),) if len(actual) == 1 else None
        # A map without a batch is left out: its first axis is that of the channels.
        if actual == shape and len(actual) == kernel.dimensions + 1:
            return (Convolution(kernel.weight.double(), kernel.axes(actual[1:]), kernel.groups),)
    elif call.name in ORDER_KEEPING:
        return () if outputs == shape or math.prod(outputs[1:]) == 1 else None
    elif step.slopes is not None and step.slopes.low == step.slopes.high:
        return (Slopes(*step.slopes),)
    elif actual == shape and step.slopes is not None:
        factors = _linear_part(step, torch.ones(actual)).reshape(actual[0], -1)
        return (ChannelScale(factors[:, 0].clone()),) if bool((factors == factors[:, :1]).all()) else None
    elif actual == shape and len(actual) > 1:
        if call.name.startswith("avg_pool"):
            return _average_pooling(actual, outputs, *call.arguments[1:4])
        if call.name in ("pad", "constant_pad_nd"):
            return _zero_padding(actual, outputs, list(call.arguments[1])[::-2])
        if call.output.numel() == actual[0]:
            total = float(_linear_part(step, torch.ones(actual)).flatten()[0])
            return (SpatialSum(total / math.prod(actual[1:])),)
    return None


def _average_pooling(
    shape: tuple[int, ...], outputs: tuple[int, ...], kernel: Any, stride: Any = None, padding: Any = 0
) -> tuple[Convolution]:
    channels, *sizes = shape
    fields = [_each(value, len(sizes)) for value in (kernel, stride or kernel, padding)]
    axes = tuple(map(ConvolutionAxis, sizes, outputs[1:], *fields))
    taps = [axis.kernel for axis in axes]
    weight = torch.full((channels, 1, *taps), 1 / math.prod(taps), dtype=torch.float64)
    return (Convolution(weight, axes, groups=channels),)


def _zero_padding(shape: tuple[int, ...], outputs: tuple[int, ...], before: list[int]) -> tuple[Convolution] | None:
    """Return padding as a convolution with one tap; ``before``: by axis, how much is added in front."""
    channels, *sizes = shape
    if len(before) != len(sizes):
        return None
    axes = (ConvolutionAxis(size, n, 1, padding=p) for size, n, p in zip(sizes, outputs[1:], before, strict=True))
    weight = torch.ones((channels, 1, *[1] * len(sizes)), dtype=torch.float64)
    return (Convolution(weight, tuple(axes), groups=channels),)


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def _dense_matrix(step: Step, shape: tuple[int, ...]) -> tuple[Matrix] | None:
    """Return the matrix of the step; None if a constant that it adds may have rounded its entries away."""
    assert step.linear is not None
    units = torch.eye(math.prod(shape), dtype=torch.float64)
    matrix = torch.stack([_linear_part(step, unit.view(shape)).flatten() for unit in units], dim=1)
    added = step.linear.apply(torch.zeros_like(step.source.value)).abs().max()
    rounding = math.prod(shape) * torch.finfo(step.source.value.dtype).eps * float(added)
    return (Matrix(matrix),) if rounding <= ROUNDED_AWAY * float(matrix.abs().max()) else None


def _linear_part(step: Step, x: Tensor) -> Tensor:
    """Return A x for one sample ``x``, where the step is x -> A x + b."""
    assert step.linear is not None
    sample = x[None].to(step.source.value)
    part: Tensor = step.linear.apply(sample) - step.linear.apply(torch.zeros_like(sample))
    return part[0].double()


def _agrees(steps: Sequence[chain_steps.Step], step: Step, shape: tuple[int, ...]) -> bool:
    """Say whether ``steps`` are the linear part of ``step``, by a random input."""
    x = torch.randn(math.prod(shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x.to(step.source.value.device)
    expected = _linear_part(step, x.view(step.source.value.shape[1:])).flatten()
    found = chain_steps.apply(steps, x.view(shape)).flatten()
    rounding = 1e-6 * float(expected.abs().max())
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-6, atol=rounding)


def _is_float_sample(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1 and len(value) == 1
