"""The observer csv: the metrics of a run as one table."""

import csv
import io
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from lipschitz.files import write_text
from lipschitz.training.observers.base import Observer

Row = dict[str, str]


class Csv(Observer):
    """Write ``metrics.csv`` in the run's folder: a row an evaluation; columns step, seconds, and one a metric.

    A metric that an evaluation did not record is empty there.
    """

    _path: Path = PrivateAttr(Path())
    _rows: dict[int, Row] = PrivateAttr(default_factory=dict)

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Read the rows of a resumed run up to ``step``."""
        self._path = folder / "metrics.csv"
        if self._path.exists():
            with self._path.open(newline="") as file:
                rows = {int(row["step"]): row for row in csv.DictReader(file)}
            self._rows = {at: row for at, row in rows.items() if at <= step}

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Add a row, and write the table anew: a metric may be recorded for the first time."""
        self._rows[step] = {name: str(value) for name, value in {"step": step, "seconds": seconds, **values}.items()}
        columns = dict.fromkeys(name for row in self._rows.values() for name in row)
        table = io.StringIO()
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows.values())
        write_text(self._path, table.getvalue())
