"""A chain of steps laid out for evaluation: maps on a torus at its frequencies first, then vectors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.semidefinite.ellipsoids import (
    Ball,
    Ellipsoid,
    Explicit,
    after_activation,
    certified_largest_eigenvalue,
    frobenius,
    guarded,
    largest_eigenvalue,
)
from lipschitz.estimation.upper_bound.semidefinite.frequencies import (
    Frequencies,
    all_frequencies,
    fourier_transform,
    sample_frequencies,
    torus_size,
)
from lipschitz.estimation.upper_bound.semidefinite.steps import (
    Convolution,
    Matrix,
    NormalStep,
    Slopes,
    SpatialSum,
    shapes,
)

SMALL_MATRIX = 32
"""Rows and columns that are added to count operations: small matrices are slow for their number of operations."""
MASK = Slopes(0.0, 1.0)
"""A mask that is one on a map and zero elsewhere, as an activation."""


@dataclass(frozen=True)
class LinearMap:
    """P -> W P Wᴴ, then the mean over the frequencies that become one.

    A stride s folds s^d frequencies into one: the spectrum of a stationary process that is sampled at every s-th place
    is the mean of the spectra at the s^d aliased frequencies. A matrix that reads a map of a torus takes the mean over
    all frequencies, which has no imaginary part.
    """

    weights: Tensor
    """``(F, m, n)``; one matrix for vectors."""
    terms: int = 0
    """Number of products that each entry of ``weights`` is the sum of."""
    folds: int = 1
    """s^d."""
    shares: Tensor | None = None
    """``(F,)``: shares of the frequencies, where the result is on vectors."""

    def __call__(self, before: Ellipsoid) -> Explicit:
        """Return an ellipsoid with P ``(F / folds, m, m)``, or ``(1, m, m)`` on vectors."""
        image = before.image(self.weights, self.terms)
        if self.shares is not None:
            return Explicit(torch.einsum("f,fij->ij", self.shares, image.real)[None])
        return Explicit(image.view(-1, self.folds, *image.shape[1:]).mean(dim=1))


@dataclass(frozen=True)
class Crop:
    """From a torus to vectors: P of the values of a map, which is a window of the torus."""

    factors: Tensor
    """``(lags, F)`` complex: exp(i ω lag) times the share of the frequency."""
    lag: Tensor
    """``(places, places)`` int64: the row of ``factors`` for the difference of two places of the map."""

    def __call__(self, before: Explicit) -> Explicit:
        """Return an ellipsoid with P ``(1, c places, c places)``, in the order of a flattened map ``(c, ...)``."""
        a = before.p
        channels, places = a.shape[-1], len(self.lag)
        by_lag = (self.factors @ a.flatten(1)).real.view(-1, channels, channels)
        image = by_lag[self.lag].permute(2, 0, 3, 1).reshape(1, channels * places, channels * places)
        return Explicit(guarded(image, 4 * (len(a) + 8) * places, frobenius(a).amax(dim=0, keepdim=True)))


class Layout:
    """A chain whose first ``on_torus`` steps run on a torus, and the others on vectors.

    Args:
        steps: in the normal form of `normal_form.normal_form`.
        shape: of the input of the first step, ``(c, ...)`` or ``(n,)``.
        on_torus: zero, or such that the last step on the torus is a convolution, or the matrix or sum that reads a map.
        sampled: evaluate on so many frequencies by axis only, in single precision: no certificate, but cheap, to choose
            multipliers by. None: on all of them.
    """

    def __init__(
        self, steps: Sequence[NormalStep], shape: tuple[int, ...], on_torus: int, *, sampled: int | None = None
    ) -> None:
        self.sampled = sampled
        self._torus, self._vectors = _with_masks(steps[:on_torus]), list(steps[on_torus:])
        self._shapes = shapes([*self._torus, *self._vectors], shape)

    @property
    def activations(self) -> list[tuple[int, int]]:
        """For each activation the number of its channels, and of the places of a map that have multipliers apart."""
        steps = enumerate([*self._torus, *self._vectors])
        found = [(i, self._shapes[i]) for i, step in steps if isinstance(step, Slopes)]
        return [(channels, 1 if i < len(self._torus) else math.prod(sizes)) for i, (channels, *sizes) in found]

    @property
    def strides(self) -> list[int]:
        """For each activation the product of the strides of the step before it."""
        steps = [*self._torus, *self._vectors]
        before = [step for step, following in pairwise(steps) if isinstance(following, Slopes)]
        return [math.prod(a.stride for a in step.axes) if isinstance(step, Convolution) else 1 for step in before]

    @property
    def can_be_sampled(self) -> bool:
        """Whether a few frequencies can stand for all: on a torus from which no map is cropped."""
        return bool(self._torus) and not self._crops

    def cost(self) -> float:
        """Return about how many floating-point operations `square` takes."""
        total = 0.0
        frequencies = self._frequency_counts()
        for i, step in enumerate([*self._torus, *self._vectors]):
            on_torus = i < len(self._torus)
            before, after = (
                SMALL_MATRIX + (each[0] if on_torus else math.prod(each)) for each in self._shapes[i : i + 2]
            )
            # A complex product counts as four real ones.
            times = 8.0 * frequencies[i] if on_torus else 2.0
            total += times * (before**3 if isinstance(step, Slopes) else before * after * (before + after))
        return total

    def square(self, log_gaps: Sequence[Tensor], log_scales: Sequence[Tensor]) -> Tensor:
        """Return the square of the bound with these multipliers, differentiable by them.

        ``log_gaps`` are scalars and ``log_scales`` are ``(c,)`` or ``(c places,)``, one of each by activation; see
        `ellipsoids.after_activation`.
        """
        multipliers = zip(log_gaps, log_scales, strict=True)
        ellipsoid: Ellipsoid = Ball()
        for operation in self._operations:
            match operation:
                case Slopes(low, high):
                    assert isinstance(ellipsoid, Explicit)
                    m, r = (high + low) / 2, (high - low) / 2
                    ellipsoid = after_activation(ellipsoid.p, *next(multipliers), m, r)
                case LinearMap():
                    ellipsoid = operation(ellipsoid)
                case Crop():
                    assert isinstance(ellipsoid, Explicit)
                    ellipsoid = operation(ellipsoid)
        assert isinstance(ellipsoid, Explicit)
        return largest_eigenvalue(ellipsoid.p) if self.sampled else certified_largest_eigenvalue(ellipsoid.p)

    @property
    def _crops(self) -> bool:
        return bool(self._torus and self._vectors) and isinstance(self._torus[-1], Convolution)

    @cached_property
    def _convolutions(self) -> list[Convolution]:
        return [step for step in self._torus if isinstance(step, Convolution)]

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return torus_size(self._convolutions)

    @cached_property
    def _frequencies(self) -> Frequencies:
        strides = [[axis.stride for axis in step.axes] for step in self._convolutions]
        like = self._convolutions[0].weight
        if self.sampled:
            return sample_frequencies(len(self._sizes), self.sampled, strides, like)
        return all_frequencies(self._sizes, strides, like)

    def _frequency_counts(self) -> list[int]:
        """Return the number of frequencies before each step on the torus."""
        if not self._torus:
            return []
        count = math.prod(self._sizes) // 2 + 1
        if self.sampled:
            count = self.sampled ** len(self._sizes) * 2 ** (len(self._sizes) - 1)
        counts = []
        for step in reversed(self._torus):
            count *= math.prod(axis.stride for axis in step.axes) if isinstance(step, Convolution) else 1
            counts.append(count)
        return counts[::-1]

    @cached_property
    def _operations(self) -> list[Slopes | LinearMap | Crop]:
        found: list[Slopes | LinearMap | Crop] = []
        stage = 0
        for i, step in enumerate(self._torus):
            match step:
                case Slopes():
                    found.append(step)
                case Convolution():
                    found.append(self._torus_convolution(step, self._frequencies.angles[stage]))
                    stage += 1
                case Matrix() | SpatialSum():
                    found.append(self._read(step, self._shapes[i]))
        if self._crops:
            found.append(_crop(self._shapes[len(self._torus)], self._frequencies))
        for i, vector_step in enumerate(self._vectors, start=len(self._torus)):
            if isinstance(vector_step, Slopes):
                found.append(vector_step)
            else:
                found.append(LinearMap(_matrix(vector_step, self._shapes[i])[None]))
        return found

    def _torus_convolution(self, step: Convolution, angles: Tensor) -> LinearMap:
        # torch's convolution is a correlation, y_i = Σ_j w_j x_(i + j), so its symbol has exp(+i ω j).
        spectrum = fourier_transform(step.full_weight(), angles, [axis.dilation for axis in step.axes]).conj()
        taps = math.prod(axis.kernel for axis in step.axes)
        return LinearMap(self._rounded(spectrum), terms=taps, folds=math.prod(axis.stride for axis in step.axes))

    def _read(self, step: Matrix | SpatialSum, shape: tuple[int, ...]) -> LinearMap:
        channels, *sizes = shape
        frequencies = self._frequencies
        if isinstance(step, Matrix):
            maps = step.weight.reshape(-1, *shape)
        else:
            maps = torch.full((1, 1, *sizes), step.factor, dtype=torch.float64, device=frequencies.shares.device)
        spectrum = fourier_transform(maps, frequencies.angles[-1], [1] * len(sizes)).conj()
        if isinstance(step, SpatialSum):
            spectrum = spectrum * torch.eye(channels, dtype=spectrum.dtype, device=spectrum.device)
        shares = frequencies.shares.to(torch.float32) if self.sampled else frequencies.shares
        return LinearMap(self._rounded(spectrum), terms=math.prod(sizes), shares=shares)

    def _rounded(self, spectrum: Tensor) -> Tensor:
        return spectrum.to(torch.complex64 if self.sampled else torch.complex128).resolve_conj()


def _with_masks(steps: Sequence[NormalStep]) -> list[NormalStep]:
    """Return steps on the torus that are the chain's on the map, with a mask wherever a convolution reads padding.

    A mask is part of an activation: its slopes then include zero. Without an activation before such a convolution, the
    mask is an activation of its own, unless the values are the chain's input, which is zero outside of its map.
    """
    found: list[NormalStep] = []
    for step, following in zip_longest(steps, steps[1:]):
        reads_padding = isinstance(following, Convolution) and following.reads_padding
        if isinstance(step, Slopes) and reads_padding:
            step = Slopes(min(step.low, 0.0), max(step.high, 0.0))
        found.append(step)
        if isinstance(step, Convolution) and reads_padding:
            found.append(MASK)
    return found


def _crop(shape: tuple[int, ...], frequencies: Frequencies) -> Crop:
    angles, sizes = frequencies.angles[-1], shape[1:]
    places = _grid([range(size) for size in sizes], angles)
    difference = (places[:, None] - places).long()
    lag = torch.zeros_like(difference[..., 0])
    for a, size in enumerate(sizes):
        lag = lag * (2 * size - 1) + difference[..., a] + size - 1
    phases = _grid([range(1 - size, size) for size in sizes], angles) @ angles.T
    return Crop(torch.polar(frequencies.shares.expand_as(phases), phases), lag)


def _grid(ranges: Sequence[range], like: Tensor) -> Tensor:
    """Return all points ``(n, d)`` of a grid, the last axis fastest."""
    axes = [torch.arange(r.start, r.stop, dtype=like.dtype, device=like.device) for r in ranges]
    return torch.cartesian_prod(*axes).view(-1, len(ranges))


def _matrix(step: Matrix | SpatialSum | Convolution, shape: tuple[int, ...]) -> Tensor:
    match step:
        case Matrix(weight):
            return weight
        case Convolution():
            return step.matrix()
        case SpatialSum(factor):
            return factor * torch.eye(shape[0], dtype=torch.float64).repeat_interleave(math.prod(shape[1:]), dim=1)
