"""Read what a page over several results folders shows of each: its csv and JSON files alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lipschitz.errors import InputError, first_line
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.printable_text import printable_json
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.wording import floors

_READ = [*LABELS, "metric", "which", "n", "mean", "ci95", "diverged"]


@dataclass(frozen=True)
class ReportedFolder:
    """What the csv and JSON files of a results folder say.

    Attributes:
        path: of the folder.
        name: the last part of its path.
        definition: ``sweep.json``.
        provenance: ``provenance.json``; empty where there is none.
        values: rows of ``summary.csv`` after the last step.
        steps: by data set, the training steps of its runs; empty where no file says it.
    """

    path: Path
    name: str
    definition: Mapping[str, Any]
    provenance: Mapping[str, Any]
    values: pd.DataFrame
    steps: Mapping[str, list[int]]

    @property
    def methods(self) -> pd.DataFrame:
        """The rows of ``values`` without the floor."""
        return self.values[~self.values["constraint"].isin(floors())]

    def shown(self, axis: str, label: str) -> str:
        """Return the label that the sweep file gives, or else the recorded one."""
        return str(self.definition.get("labels", {}).get(axis, {}).get(label, label))


def read_folder(path: Path) -> ReportedFolder:
    """Read the files of a results folder that its page is made from.

    Raises:
        InputError: it is no results folder, or was not reported, or a file cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; expected a folder of results")
    folder = SweepFolder.open(path)
    try:
        provenance = folder.provenance()
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'provenance.json'}: cannot be read: {first_line(error)}") from None
    values = _csv(path / "summary.csv")
    missing = [name for name in _READ if name not in values]
    if missing:
        raise InputError(
            f"{path / 'summary.csv'}: has no column {missing[0]}; `lipschitz report {path}` writes it again"
        )
    values = values[values["which"] == "last"]
    definition: dict[str, Any] = printable_json(folder.definition())
    return ReportedFolder(path, path.resolve().name, definition, printable_json(provenance), values, _steps(path))


def _csv(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table. Labels such as ``none`` or ``NA`` are not missing values."""
    try:
        return pd.read_csv(path, usecols=columns, keep_default_na=False, na_values=[""], low_memory=False)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; `lipschitz report {path.parent}` writes it from the runs") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table of results: {first_line(error)}") from None


def _steps(path: Path) -> dict[str, list[int]]:
    """Return by data set the steps of the runs, as planned, or else as far as records go."""
    for name, column in (("outcomes.csv", "steps"), ("records.csv", "step")):
        if (path / name).exists():
            rows = _csv(path / name, ["run", "dataset", column])
            by_run = rows.groupby(["dataset", "run"])[column].max()
            return {str(dataset): sorted(map(int, own.unique())) for dataset, own in by_run.groupby(level=0)}
    return {}
