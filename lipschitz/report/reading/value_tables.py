"""Write and read the csv files of measured values: a row for each evaluation of a run, a column for each metric.

``records.csv`` has a row for each run and step, ``outcomes.csv`` for each run and ``which``. An empty cell was not
measured; ``nan`` was measured and is not finite. Tables of earlier versions, with a row for each value, are read, too.
"""

import csv
import io
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.files import open_regular, write_atomically

INTEGERS = ("seed", "step", "steps", "batch_size")
_LONG = ["metric", "value"]
"""Columns after the leading ones in tables of earlier versions."""
_ROWS_AT_ONCE = 4000
"""Rows of which the cells are made as text at one time."""


def write_values(path: Path, values: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Write a table of measured values, atomically.

    Args:
        path: of the csv file.
        values: run, what tells the evaluations of a run apart (for example step and seconds), metric, value; the values
            of one evaluation follow each other.
        runs: columns that describe each run (index: run id), which come before all others.
    """
    lead = [name for name in values.columns if name not in _LONG]
    metric_of, metrics = pd.factorize(values["metric"])
    row_of, first = _rows(values, lead, metric_of)
    keys = values.iloc[first][lead].join(runs, on="run")[["run", *runs.columns, *lead[1:]]]
    numbers = values["value"].to_numpy(dtype=float)
    ends = np.searchsorted(row_of, np.arange(0, len(first) + _ROWS_AT_ONCE, _ROWS_AT_ONCE))

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*keys.columns, *metrics])
        # A few thousand rows at a time: all rows of a large sweep as text take a hundred megabytes.
        for part, (start, end) in enumerate(pairwise(ends)):
            at = part * _ROWS_AT_ONCE
            some = keys.iloc[at : at + _ROWS_AT_ONCE]
            # To strings at once: a label is text, and a number is written so that it is read back exactly.
            leading = zip(*(map(str, some[name].tolist()) for name in keys.columns), strict=True)
            cells = np.full((len(some), len(metrics)), "", dtype=object)
            cells[row_of[start:end] - at, metric_of[start:end]] = list(map(repr, numbers[start:end].tolist()))
            writer.writerows([*lead, *row] for lead, row in zip(leading, cells.tolist(), strict=True))
        text.flush()
        text.detach()

    write_atomically(path, write)


def _rows(
    values: pd.DataFrame, lead: Sequence[str], metric_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row of each value, in rising order, and the place of the first value of each row.

    A row ends where a leading column changes, and where a metric comes for the second time.
    """
    starts = np.zeros(len(values), dtype=bool)
    starts[:1] = True
    for name in lead:
        column = values[name].to_numpy()
        starts[1:] |= column[1:] != column[:-1]
    rows = np.cumsum(starts) - 1
    pairs = rows * (metric_of.max(initial=0) + 1) + metric_of
    if len(np.unique(pairs)) < len(pairs):
        seen: set[int] = set()
        for place, (is_start, metric) in enumerate(zip(starts.tolist(), metric_of.tolist(), strict=True)):
            if is_start or metric in seen:
                starts[place], seen = True, set()
            seen.add(metric)
        rows = np.cumsum(starts) - 1
    return rows, np.flatnonzero(starts)


def read_values(path: Path, last_lead: str) -> pd.DataFrame:
    """Return a table of measured values: the leading columns, metric, value; ``inf`` and NaN as they were measured.

    Args:
        path: of the csv file.
        last_lead: the leading column after which the metrics begin.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a table.
    """
    lead: list[list[str]] = []
    codes, values = array("q"), array("d")
    counts = array("q")
    with open_regular(path) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        header = next(reader, [])
        if last_lead not in header:
            raise ValueError(f"no column {last_lead}")
        width = header.index(last_lead) + 1
        metrics = header[width:]
        is_long = metrics[:2] == _LONG
        names: dict[str, int] = {} if is_long else {name: place for place, name in enumerate(metrics)}
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"line {reader.line_num}: {len(row)} cells; expected {len(header)}")
            lead.append(row[:width])
            if is_long:
                codes.append(names.setdefault(row[width], len(names)))
                values.append(float(row[width + 1] or "nan"))
                counts.append(1)
                continue
            found = [(place, cell) for place, cell in enumerate(row[width:]) if cell]
            codes.extend(place for place, _ in found)
            values.extend(float(cell) for _, cell in found)
            counts.append(len(found))
    columns = dict(zip(header[:width], zip(*lead, strict=True), strict=True)) if lead else dict.fromkeys(header[:width])
    frame = {
        name: np.repeat(_typed(name, column or ()), np.frombuffer(counts, dtype=np.int64))
        for name, column in columns.items()
    }
    frame["metric"] = np.array(list(names), dtype=object)[np.frombuffer(codes, dtype=np.int64)]
    return pd.DataFrame(frame | {"value": np.frombuffer(values, dtype=float)})


def _typed(name: str, column: Sequence[str]) -> NDArray[np.generic]:
    if name in INTEGERS:
        return np.array(list(map(int, column)), dtype=np.int64)
    if name == "seconds":
        return np.array(list(map(float, column)), dtype=float)
    return np.array(column, dtype=object)
