"""Columns of a table: measured Lipschitz constants and costs of each constraint. Also the notes under the table."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from lipschitz.report.number_format import MISSING
from lipschitz.report.reading.timing import (
    ITERATION,
    ITERATION_UNCAPTURED,
    PEAK_MEMORY,
    RUNS,
    STEP,
    STEP_UNCAPTURED,
    THROUGHPUT,
    is_captured,
    uncaptured_parts,
)
from lipschitz.report.statistics.summary import LARGEST_SIGMA, Lookup
from lipschitz.report.statistics.timings import UNSTEADY, drift, ratio_text
from lipschitz.report.tables.measurement_notes import EXACT
from lipschitz.report.tables.table import Cell, Column
from lipschitz.sweep.timing.timing_files import DRIFT
from lipschitz.tasks.wording import wording

_MEMORY, _ITERATION, _TOGETHER = "Peak memory", "Iteration", "Runs at once"
_PRODUCT = "Lip(D) by layers"
COST_TABLE_ONLY = (_MEMORY, _ITERATION, _TOGETHER, _PRODUCT)
"""Heads of columns that the table of cost has and an overview has not."""

_MS, _UNCAPTURED, _OVER_NONE = "ms", "ms, uncaptured", "× none"
_CAPTURED_NOTE = (
    "ms: captured as CUDA graphs, as in training. ms, uncaptured: launched kernel by kernel. Both are timed alone on "
    "the device. × none: the ratio to a step without a constraint, both captured or both uncaptured."
)
_ITERATION_NOTE = (
    "Iteration: n_dis discriminator steps and one generator step. Captured, it is one CUDA graph; uncaptured, it is "
    "the sum of its steps."
)
_THROUGHPUT_NOTE = (
    "Runs at once: how many runs take turns in one worker, and how many iterations per second they make together. This "
    "is the throughput of the device, not the cost of a method."
)


_UNSTEADY_NOTE = (
    f"{UNSTEADY.capitalize()}: the medians of the rounds of the timing pass differ by over {DRIFT:.0%}, as on a device "
    "in use, and there is no ratio to another step"
)


class Notes(NamedTuple):
    """Notes under tables."""

    step: list[str]
    """On the columns of a step, in every table that has them."""
    cost_table_only: list[str]
    """On columns of the table of cost alone."""


def cost_columns(group: pd.DataFrame, lookup: Lookup) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and, one row for each configuration of ``group``, their cells.

    Columns without content are left out: the exact Lipschitz constant, the ratio to ``none`` if that was not timed,
    and what only a GPU has (uncaptured steps, captured iterations, runs at once, peak memory).
    """
    rows = [row for _, row in group.iterrows()]
    task = wording(str(group["task"].iloc[0]))
    reshaped, operator = LARGEST_SIGMA.values()
    measured = {
        Column("kernel", "Largest σ of a layer"): reshaped,
        Column("operator", "Largest σ of a layer"): operator,
        Column("at least", "Lip(D)"): "lipschitz_lower",
        Column("exact", "Lip(D)"): EXACT,
        Column("at most", "Lip(D)"): "lipschitz_upper",
        Column("at most", _PRODUCT): "lipschitz_upper_product",
    }
    texts = {column: [lookup.interval(row, metric).text for row in rows] for column, metric in measured.items()}
    # Runs of earlier versions have neither, and only points have an exact constant.
    sometimes = (EXACT, "lipschitz_upper_product")
    texts = {
        column: line for column, line in texts.items() if measured[column] not in sometimes or set(line) != {MISSING}
    }
    texts |= _times(rows, lookup, f"{task.network} step")
    return list(texts), [[Cell(text) for text in line] for line in zip(*texts.values(), strict=True)]


def cost_notes(group: pd.DataFrame, lookup: Lookup, shown: Callable[[str], str]) -> Notes:
    """Return the notes on unsteady times and on a GPU, none if there are none; ``shown`` maps a label to its name."""
    rows = [row for _, row in group.iterrows()]
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if reason := lookup.timing(row).get("uncaptured"):
            by_reason.setdefault(str(reason).rstrip("."), []).append(shown(str(row["constraint"])))
    uncaptured = [
        f"{'all' if len(names) == len(rows) else ', '.join(dict.fromkeys(names))} ({reason})"
        for reason, names in by_reason.items()
    ]
    step = [_CAPTURED_NOTE] if any(is_captured(lookup.timing(row)) for row in rows) else []
    if uncaptured:
        step.append(f"Not captured, trained by launching kernel by kernel: {'; '.join(uncaptured)}.")
    step += _unsteady_note(rows, lookup, shown)
    notes = {_ITERATION_NOTE: ITERATION_UNCAPTURED, _THROUGHPUT_NOTE: RUNS}
    return Notes(step, [note for note, metric in notes.items() if lookup.has(metric)])


def _times(rows: Sequence[pd.Series], lookup: Lookup, step: str) -> dict[Column, list[str]]:
    """Return the text of each row by column, without empty columns; the column of a step on the CPU is always kept."""
    texts = {
        Column(_MS, step): [_captured_or_on_cpu(row, lookup) for row in rows],
        Column(_UNCAPTURED, step): _numbers(rows, lookup, STEP_UNCAPTURED),
        Column(_OVER_NONE, step): [_ratio_to_none(row, lookup) for row in rows],
        Column(_MS, _ITERATION): _numbers(rows, lookup, ITERATION),
        Column(_UNCAPTURED, _ITERATION): _numbers(rows, lookup, ITERATION_UNCAPTURED),
        Column("number", _TOGETHER): _numbers(rows, lookup, RUNS),
        Column("iterations/s of all", _TOGETHER): _numbers(rows, lookup, THROUGHPUT),
        Column("MiB", _MEMORY): _numbers(rows, lookup, PEAK_MEMORY),
    }
    always = set() if any(uncaptured_parts(lookup.timing(row)) for row in rows) else {Column(_MS, step)}
    return {column: line for column, line in texts.items() if column in always or set(line) != {MISSING}}


def _numbers(rows: Sequence[pd.Series], lookup: Lookup, metric: str) -> list[str]:
    return [_number(row, lookup, metric) for row in rows]


def _number(row: pd.Series, lookup: Lookup, metric: str) -> str:
    found = lookup.interval(row, metric)
    return f"{found.text} {UNSTEADY}" if found.n and drift(lookup.timing(row), metric) else found.text


def _captured_or_on_cpu(row: pd.Series, lookup: Lookup) -> str:
    """Return the time of a step if it was captured or timed on a CPU; a dash for a step launched on a GPU."""
    timing = lookup.timing(row)
    return _number(row, lookup, STEP) if is_captured(timing) or not uncaptured_parts(timing) else MISSING


def _ratio_to_none(row: pd.Series, lookup: Lookup) -> str:
    """Return a step's time over that without a constraint, where they can be compared and both are steady."""
    plain = row.copy()
    plain["constraint"] = "none"
    return ratio_text(lookup.timing(row), lookup.timing(plain), MISSING)


def _unsteady_note(rows: Sequence[pd.Series], lookup: Lookup, shown: Callable[[str], str]) -> list[str]:
    """Return a note that names the steps whose rounds disagree, and by how much; none if all are steady."""
    found = {shown(str(row["constraint"])): drift(lookup.timing(row), STEP) for row in rows}
    names = ", ".join(f"{name} ({differ:.0%})" for name, differ in found.items() if differ)
    return [f"{_UNSTEADY_NOTE}: {names}. `lipschitz sweep FILE --retime` times them again."] if names else []
