"""What a constraint did to the network, and at what cost: columns of a table, and what is to be said under it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from lipschitz.report.reading.timing import (
    ITERATION,
    ITERATION_UNCAPTURED,
    PEAK_MEMORY,
    RUNS,
    STEP,
    STEP_UNCAPTURED,
    THROUGHPUT,
    is_captured,
    launched,
)
from lipschitz.report.statistics.best import Lookup
from lipschitz.report.statistics.summary import LARGEST
from lipschitz.report.tables.number_format import MISSING, show, show_interval
from lipschitz.report.tables.table import Cell, Column
from lipschitz.report.wording import wording

_MEMORY, _ITERATION, _TOGETHER = "Peak memory", "Iteration", "Runs at once"
ASIDE = (_MEMORY, _ITERATION, _TOGETHER)
"""Heads of what an overview leaves to the table of cost."""

_MS, _UNCAPTURED, _OVER_NONE = "ms", "ms, uncaptured", "× none"
_CAPTURED = (
    "ms: captured as CUDA graphs, as it is trained; ms, uncaptured: launched kernel by kernel; both alone on the "
    "device. × none compares two captured steps, or two uncaptured ones."
)
_ONE_PIECE = (
    "Iteration: all of its discriminator steps (n_dis) and its generator step; captured in one piece, uncaptured the "
    "sum of its steps."
)
_THROUGHPUT = (
    "Runs at once: how many runs take turns in one worker, and the iterations per second that they make together: what "
    "the device yields, and no method's cost."
)


class Notes(NamedTuple):
    """Lines under tables."""

    step: list[str]
    """On the columns of a step, wherever they stand."""
    aside: list[str]
    """On what only the table of cost has."""


def cost_columns(group: pd.DataFrame, lookup: Lookup) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and, a row a configuration of ``group``, their cells; a column that says nothing is left out.

    That is the cost beside a method that the table does not have, what only a GPU has (uncaptured steps, iterations in
    one piece, runs at once), and memory where networks are so small that a process on the CPU shows none of it.
    """
    rows = [row for _, row in group.iterrows()]
    task = wording(str(group["task"].iloc[0]))
    on_cpu = all(str(lookup.timing(row).get("device", "")).startswith("cpu") for row in rows)
    reshaped, operator = LARGEST.values()
    measured = {
        Column("kernel", "Largest σ of a layer"): reshaped,
        Column("operator", "Largest σ of a layer"): operator,
        Column("at least", "Lip(D)"): "lipschitz_lower",
        Column("at most", "Lip(D)"): "lipschitz_upper",
    }
    said = {
        column: [show_interval(*lookup(row, metric)[:2]) for row in rows] for column, metric in measured.items()
    } | _times(rows, lookup, f"{task.network} step")
    if not (task.small_networks and on_cpu):
        said[Column("MiB", _MEMORY)] = _numbers(rows, lookup, PEAK_MEMORY)
    return list(said), [[Cell(text) for text in line] for line in zip(*said.values(), strict=True)]


def cost_notes(group: pd.DataFrame, lookup: Lookup, shown: Callable[[str], str]) -> Notes:
    """Return what is to be said of times on a GPU, nothing where there are none; labels are as they are ``shown``."""
    rows = [row for _, row in group.iterrows()]
    refused: dict[str, list[str]] = {}
    for row in rows:
        if reason := lookup.timing(row).get("uncaptured"):
            refused.setdefault(str(reason).rstrip("."), []).append(shown(str(row["constraint"])))
    whom = [
        f"{'all' if len(names) == len(rows) else ', '.join(dict.fromkeys(names))} ({reason})"
        for reason, names in refused.items()
    ]
    step = [_CAPTURED] if any(is_captured(lookup.timing(row)) for row in rows) else []
    if whom:
        step.append(f"Not captured, and trained as launched kernel by kernel: {'; '.join(whom)}.")
    aside = {_ONE_PIECE: ITERATION_UNCAPTURED, _THROUGHPUT: RUNS}
    return Notes(step, [note for note, metric in aside.items() if lookup.has(metric)])


def _times(rows: Sequence[pd.Series], lookup: Lookup, step: str) -> dict[Column, list[str]]:
    """Return the text of each row by column; of columns without a number only the one of a CPU's step."""
    said = {
        Column(_MS, step): [show(_captured_or_on_cpu(row, lookup)) for row in rows],
        Column(_UNCAPTURED, step): _numbers(rows, lookup, STEP_UNCAPTURED),
        Column(_OVER_NONE, step): [_over_none(row, lookup) for row in rows],
        Column(_MS, _ITERATION): _numbers(rows, lookup, ITERATION),
        Column(_UNCAPTURED, _ITERATION): _numbers(rows, lookup, ITERATION_UNCAPTURED),
        Column("number", _TOGETHER): _numbers(rows, lookup, RUNS),
        Column("iterations/s of all", _TOGETHER): _numbers(rows, lookup, THROUGHPUT),
    }
    always = set() if any(launched(lookup.timing(row)) for row in rows) else {Column(_MS, step)}
    return {column: texts for column, texts in said.items() if column in always or set(texts) != {MISSING}}


def _numbers(rows: Sequence[pd.Series], lookup: Lookup, metric: str) -> list[str]:
    return [show(lookup(row, metric)[0]) for row in rows]


def _captured_or_on_cpu(row: pd.Series, lookup: Lookup) -> float:
    """Return the time of a step on a CPU, or captured; NaN of one launched on a GPU, which has a column of its own."""
    timing = lookup.timing(row)
    return lookup(row, STEP)[0] if is_captured(timing) or not launched(timing) else float("nan")


def _over_none(row: pd.Series, lookup: Lookup) -> str:
    """Return a step's time over that of the same without a constraint, on the same device and both captured or not."""
    plain = row.copy()
    plain["constraint"] = "none"
    timing, reference = lookup.timing(row), lookup.timing(plain)
    if timing.get("device", "") != reference.get("device", "") or is_captured(timing) != is_captured(reference):
        return MISSING
    ratio = lookup(row, STEP)[0] / lookup(plain, STEP)[0]
    return f"{ratio:.2f}" if ratio == ratio else MISSING
