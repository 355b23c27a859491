"""What the tables look up in the summary: one configuration's number, and which of several is the best."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.results import Results

RIVALS = ["model", "loss", "setting"]
"""What rows of one table must share for one to be the best of them, but where critics of all models are rivals."""


class Lookup:
    """Rows of the summary by what they are asked for."""

    def __init__(self, summary: pd.DataFrame, results: Results) -> None:
        keys = summary[[*RIVALS, "constraint", "metric", "which"]].itertuples(index=False, name=None)
        values = summary[["mean", "ci95", "n"]].itertuples(index=False, name=None)
        self._rows = dict(zip(keys, values, strict=True))
        self._metrics = set(summary["metric"])
        self._timings = {
            name: results.timings.get(configuration, {})
            for name, configuration in results.runs.groupby(LABELS)["configuration"].first().items()
        }

    def has(self, metric: str) -> bool:
        """Say whether anything was measured of ``metric``."""
        return metric in self._metrics

    def __call__(self, row: pd.Series, metric: str, which: str = "last") -> tuple[float, float, int]:
        """Return mean, ci95 and n of the configuration that ``row`` names: NaN, NaN and 0 where nothing was."""
        key = (*(row[name] for name in RIVALS), row["constraint"], metric, which)
        return self._rows.get(key, (float("nan"), float("nan"), 0))

    def timing(self, row: pd.Series) -> Mapping[str, Any]:
        """Return all that was timed of the configuration that ``row`` names: nothing where it was not."""
        return self._timings.get(tuple(row[LABELS]), {})

    def leaders(self, rows: pd.DataFrame, metric: str, which: str) -> set[object]:
        """Return the index of the row with the best mean of those without a diverged seed; of several that tie, all.

        It is empty where the metric judges nothing, or where there is one row to judge.
        """
        known = CATALOGUE.get(base(metric))
        if known is None or known.better is None:
            return set()
        means = {index: self(row, metric, which)[0] for index, row in rows.iterrows() if not row["diverged"]}
        means = {index: mean for index, mean in means.items() if math.isfinite(mean)}
        if len(means) < 2:
            return set()
        best = (min if known.better == "lower" else max)(means.values())
        return {index for index, mean in means.items() if mean == best}

    def of(self, constraint: str, metric: str) -> tuple[float, float, int] | None:
        """Return what any comparison says of ``constraint``; None where nothing was measured."""
        return next((row for key, row in self._rows.items() if key[3:5] == (constraint, metric)), None)
