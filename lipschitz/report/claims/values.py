"""Read per-seed values of runs from the records of a results folder, and which of its runs diverged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError, first_line
from lipschitz.report.claims.claims_file import LABELS, LARGEST, recorded_name
from lipschitz.report.reading.value_tables import read_values

COLUMNS = ("run", *LABELS, "seed", "step", "metric", "value")


class Values:
    """The records of one sweep.

    Args:
        frame: with `COLUMNS`.
        folder: where they are from, for errors.
        diverged: ids of the runs that diverged.
    """

    def __init__(self, frame: pd.DataFrame, folder: Path, diverged: frozenset[str] = frozenset()) -> None:
        self._frame, self._folder, self._diverged = frame, folder, diverged

    @classmethod
    def read(cls, folder: Path) -> "Values | None":
        """Read ``records.csv`` in ``folder``, and the status of runs in ``runs.json``; None if there are no records.

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
        return cls(frame, folder, _diverged(folder / "runs.json"))

    def of(self, labels: Mapping[str, str], metric: str, step: int | None) -> NDArray[np.float64]:
        """Return the value of each seed, in the order of the seeds.

        It is inf where a run diverged before the step, and NaN where a run has no finite value for another reason.

        Args:
            labels: by column, what the runs have.
            metric: as recorded, or ``largest_sigma_operator``, the largest value over layers.
            step: of the value; None for the last step of any run on their data set.

        Raises:
            InputError: two runs of one seed have these labels.
        """
        frame, runs = self._runs(labels)
        all_steps = self._frame[self._frame["dataset"].isin(frame["dataset"])]["step"]
        at = all_steps.max() if step is None else step
        found = self._of_metric(frame[frame["step"] == at], metric).groupby("run")["value"].max()
        values = found.reindex(runs).to_numpy(float)
        lost = np.where(runs.isin(self._diverged), np.inf, np.nan)
        return np.where(np.isfinite(values), values, lost)

    def reach(
        self, labels: Mapping[str, str], metric: str, target: float, lower: bool, unit: Literal["steps", "seconds"]
    ) -> NDArray[np.float64]:
        """Return the first evaluation at which each seed is as good as ``target``, in steps or seconds of training.

        It is inf where a seed is not as good at any evaluation, or diverged later. Step 0 does not count.

        Args:
            labels: by column, what the runs have.
            metric: as recorded.
            target: value to reach.
            lower: whether lower values are better.
            unit: of the result.
        """
        frame, runs = self._runs(labels)
        frame = self._of_metric(frame[frame["step"] > 0], metric)
        good = frame[frame["value"] <= target if lower else frame["value"] >= target]
        first = good.groupby("run")["step" if unit == "steps" else "seconds"].min()
        return np.where(runs.isin(self._diverged), np.inf, first.reindex(runs).fillna(np.inf).to_numpy(float))

    def _runs(self, labels: Mapping[str, str]) -> tuple[pd.DataFrame, "pd.Series[str]"]:
        """Return the records of the runs with these labels, and the ids of the runs in the order of their seeds."""
        frame = self._chosen(labels)
        seeds = frame[["run", "seed"]].drop_duplicates()
        if seeds["seed"].duplicated().any():
            labelled = ", ".join(f"{key}={value}" for key, value in labels.items())
            raise InputError(
                f"{self._folder}: several runs of one seed have {labelled}; allowed: labels of one configuration"
            )
        return frame, seeds.sort_values("seed")["run"]

    @staticmethod
    def _of_metric(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
        if metric.startswith(LARGEST):
            return frame[frame["metric"].str.startswith(f"{recorded_name(metric)}/")]
        return frame[frame["metric"] == metric]

    def constraints(self, labels: Mapping[str, str]) -> list[str]:
        """Return the constraints of the runs with these labels."""
        return sorted(map(str, self._chosen(labels)["constraint"].unique()))

    def _chosen(self, labels: Mapping[str, str]) -> pd.DataFrame:
        frame = self._frame
        for column, label in labels.items():
            frame = frame[frame[column] == label]
        return frame


def _diverged(path: Path) -> frozenset[str]:
    """Return the ids of the runs that diverged; none if the folder has no ``runs.json``."""
    if not path.is_file():
        return frozenset()
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        return frozenset(run for run, about in runs.items() if about["status"] == "diverged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read: {first_line(error)}") from None
