"""Two things timed in turn in one process, and what comes out of it: a median ratio with its 95 % interval."""

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lipschitz.files import write_json, write_text
from lipschitz.training.clock import median_interval, milliseconds

CPU = torch.device("cpu")
Call = Callable[[], object]


class Pair(NamedTuple):
    """Seconds of one call of each, made one right after the other."""

    baseline: float
    candidate: float


def pairs(baseline: Call, candidate: Call, count: int, *, warm_up: int, device: torch.device = CPU) -> Iterator[Pair]:
    """Yield ``count`` pairs, once ``warm_up`` are made; which of the two goes first is drawn for each pair.

    A machine that grows slower or hotter then weighs on both alike, and the ratio of a pair is free of it. A call lasts
    until ``device`` has done what it was given.
    """
    order = random.Random(0)
    for index in range(warm_up + count):
        if order.random() < 0.5:
            first = milliseconds(baseline, device) / 1e3
            pair = Pair(first, milliseconds(candidate, device) / 1e3)
        else:
            first = milliseconds(candidate, device) / 1e3
            pair = Pair(milliseconds(baseline, device) / 1e3, first)
        if index >= warm_up:
            yield pair


def watched(made: Iterable[Pair], name: str, count: int) -> Iterator[Pair]:
    """Pass the pairs on, saying on stderr how far they are."""
    start = time.perf_counter()
    for done, pair in enumerate(made, 1):
        left = (time.perf_counter() - start) / done * (count - done)
        print(f"\r{name}: {done}/{count} pairs, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        yield pair
    print(file=sys.stderr)


def compared(made: Iterable[Pair]) -> dict[str, Any]:
    """Return ``ratio`` (candidate over baseline), and ``ms`` of either, each as median, 95 % interval and n."""
    seen = list(made)
    return {
        "ratio": median_interval([pair.candidate / pair.baseline for pair in seen])._asdict(),
        "ms": median_interval([1e3 * pair.candidate for pair in seen])._asdict(),
        "ms_baseline": median_interval([1e3 * pair.baseline for pair in seen])._asdict(),
    }


def write(
    folder: Path,
    name: str,
    result: dict[str, Any],
    text: str,
    rows: Iterable[tuple[str, ...]],
    table: str = "table.md",
) -> None:
    """Write ``<folder>/<name>.json``, and ``table`` with what it says: a title, the rows, and where they are from.

    ``result`` holds ``provenance``; the first of the ``rows`` are the headings.
    """
    origin = result["provenance"]
    versions = ", ".join(f"{package} {version}" for package, version in origin["versions"].items())
    commit = f"{origin['commit'] or 'none'}{' with changes' if origin['dirty'] else ''}"
    head, *body = rows
    lines = [text, "", _row(head), _row("---" for _ in head), *map(_row, body), ""]
    lines += [f"Device: {origin['device']}. Versions: {versions}.", ""]
    lines += [f"Commit: {commit}. Date: {origin['date']}. Command: `{origin['command']}`.", ""]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", result)
    write_text(folder / table, "\n".join(lines))


def same_conditions(earlier: dict[str, Any], now: dict[str, Any]) -> bool:
    """Say whether two results are of one clean commit, device and workload: then one may go on where the other ended.

    Of versions those count that both name: a library may be asked for only once.
    """
    ours, theirs = now["provenance"], earlier["provenance"]
    versions = all(theirs["versions"].get(name, version) == version for name, version in ours["versions"].items())
    same = versions and all(theirs.get(key) == ours[key] for key in ("commit", "device"))
    clean = ours["dirty"] is False and theirs["dirty"] is False
    return bool(same and clean and earlier["workload"] == now["workload"])


def interval(timing: dict[str, float], digits: int) -> str:
    """Return ``low – high``."""
    return f"{timing['low']:.{digits}f} – {timing['high']:.{digits}f}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
