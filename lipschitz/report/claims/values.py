"""Read per-seed values of runs from the records of a results folder; nothing else of the folder is needed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError, first_line
from lipschitz.report.claims.claims_file import LABELS
from lipschitz.report.reading.value_tables import read_values

COLUMNS = ("run", *LABELS, "seed", "step", "metric", "value")


class Values:
    """The records of one sweep.

    Args:
        frame: with `COLUMNS`.
        folder: where they are from, for errors.
    """

    def __init__(self, frame: pd.DataFrame, folder: Path) -> None:
        self._frame, self._folder = frame, folder

    @classmethod
    def read(cls, folder: Path) -> "Values | None":
        """Read ``records.csv`` in ``folder``; None if it is not there.

        Raises:
            InputError: it cannot be read, or lacks a column.
        """
        path = folder / "records.csv"
        if not path.is_file():
            return None
        try:
            frame = read_values(path, "seconds")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {first_line(error)}") from None
        if missing := [name for name in COLUMNS if name not in frame.columns]:
            raise InputError(f"{path}: no column {', '.join(missing)}; allowed: records.csv of a sweep")
        return cls(frame, folder)

    def of(self, labels: Mapping[str, str], metric: str, step: int | None) -> NDArray[np.float64]:
        """Return the value of each seed, in the order of the seeds; NaN where a run has none, as one that diverged.

        Args:
            labels: by column, what the runs have.
            metric: as recorded.
            step: of the value; None for the last step that any of these runs reached.

        Raises:
            InputError: two runs of one seed have these labels.
        """
        frame = self._chosen(labels)
        seeds = frame[["run", "seed"]].drop_duplicates()
        if seeds["seed"].duplicated().any():
            labelled = ", ".join(f"{key}={value}" for key, value in labels.items())
            raise InputError(
                f"{self._folder}: several runs of one seed have {labelled}; allowed: labels of one configuration"
            )
        at = frame["step"].max() if step is None else step
        found = frame[(frame["metric"] == metric) & (frame["step"] == at)].set_index("run")["value"]
        values = found.reindex(seeds.sort_values("seed")["run"]).to_numpy(float)
        return np.where(np.isfinite(values), values, np.nan)

    def constraints(self, labels: Mapping[str, str]) -> list[str]:
        """Return the constraints of the runs with these labels."""
        return sorted(map(str, self._chosen(labels)["constraint"].unique()))

    def _chosen(self, labels: Mapping[str, str]) -> pd.DataFrame:
        frame = self._frame
        for column, label in labels.items():
            frame = frame[frame[column] == label]
        return frame
