"""Advance several iterative algorithms together, so that one device-to-host copy serves all."""

from collections.abc import Generator, Iterable, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

Algorithm: TypeAlias = Generator[tuple[Tensor, ...], list[float], T]
"""An iterative algorithm: yields scalars ``()`` whose values it needs, is sent the values, and returns its result."""


def advance_together(algorithms: Iterable[Algorithm[T]]) -> list[T]:
    """Run every algorithm to its end and return the results, in order.

    In each round every unfinished algorithm runs to its next ``yield``. The scalars of all algorithms are then copied
    to the host in one transfer. So the number of transfers is that of the longest algorithm, however many there are.
    The algorithms do not see each other: each returns what it returns alone.
    """
    algorithms = list(algorithms)
    results: dict[Algorithm[T], T] = {}
    # A generator is started by sending it None.
    values: Mapping[Algorithm[T], list[float] | None] = dict.fromkeys(algorithms)
    while values:
        requests: dict[Algorithm[T], tuple[Tensor, ...]] = {}
        for algorithm, sent in values.items():
            try:
                requests[algorithm] = algorithm.send(sent)  # type: ignore[arg-type]
            except StopIteration as end:
                results[algorithm] = end.value
        values = _host_values(requests) if requests else {}
    return [results[algorithm] for algorithm in algorithms]


def advance_one_by_one(algorithms: Iterable[Algorithm[T]]) -> list[T]:
    """Return the same as `advance_together`, but run one algorithm after the other.

    This is faster on a CPU, where copies cost nothing and each algorithm then has the memory caches to itself.
    """
    return [advance_together([algorithm])[0] for algorithm in algorithms]


def _host_values(requests: Mapping[Algorithm[T], tuple[Tensor, ...]]) -> dict[Algorithm[T], list[float]]:
    values = iter(torch.stack([scalar for scalars in requests.values() for scalar in scalars]).tolist())
    return {algorithm: [next(values) for _ in scalars] for algorithm, scalars in requests.items()}
