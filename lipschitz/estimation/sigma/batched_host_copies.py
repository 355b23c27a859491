"""Processes on a device that need some of its numbers on the host, which come over for all of them together."""

from collections.abc import Generator, Iterable, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

Process: TypeAlias = Generator[tuple[Tensor, ...], list[float], T]
"""Yields scalars ``()``, is sent their values, and returns what it found."""


def together(processes: Iterable[Process[T]]) -> list[T]:
    """Run every process to its end, and return what each found.

    In each round those that have not ended go on to their next question, and all numbers that they ask for come over
    in one transfer: the device is waited for as often as the longest of them asks. None sees another, so that each
    finds what it would find alone.
    """
    everyone = list(processes)
    found: dict[Process[T], T] = {}
    # A generator begins when it is sent None.
    answers: Mapping[Process[T], list[float] | None] = dict.fromkeys(everyone)
    while answers:
        asked: dict[Process[T], tuple[Tensor, ...]] = {}
        for process, values in answers.items():
            try:
                asked[process] = process.send(values)  # type: ignore[arg-type]
            except StopIteration as end:
                found[process] = end.value
        answers = _answers(asked) if asked else {}
    return [found[process] for process in everyone]


def in_turn(processes: Iterable[Process[T]]) -> list[T]:
    """Return what `together` does, one process after another: on a CPU faster, as each has the caches to itself."""
    return [together([process])[0] for process in processes]


def _answers(asked: Mapping[Process[T], tuple[Tensor, ...]]) -> dict[Process[T], list[float]]:
    values = iter(torch.stack([scalar for scalars in asked.values() for scalar in scalars]).tolist())
    return {process: [next(values) for _ in scalars] for process, scalars in asked.items()}
