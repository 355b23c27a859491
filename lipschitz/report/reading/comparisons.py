"""What may be compared with what: runs that agree in everything but the constraint (and the seed)."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.reading.flatten import leaves

LABELS = ["task", "dataset", "model", "constraint", "loss", "setting"]
"""What names a configuration: a run without its seed."""

COMPARISON = ["task", "dataset", "model", "loss", "setting"]
"""What must agree before two constraints may share a curve."""


class Comparison(NamedTuple):
    """Everything that the constraints of one comparison share."""

    task: str
    dataset: str
    model: str
    loss: str
    setting: str

    def title(self, shown: Callable[[str], str]) -> str:
        """Return the line that heads everything drawn of this comparison, its labels as they are ``shown``."""
        return f"{shown(self.dataset)}  ·  {shown(self.model)}, {self.loss} loss, setting {shown(self.setting)}"


def rows_of(frame: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of ``frame`` whose columns hold these labels."""
    chosen = pd.Series(True, index=frame.index)
    for column, value in labels.items():
        chosen &= frame[column] == value
    return frame[chosen]


def comparisons(runs: pd.DataFrame) -> list[Comparison]:
    """Return the comparisons of a sweep in the order of its plan."""
    distinct = runs[COMPARISON].drop_duplicates()
    return [Comparison(*map(str, row)) for row in distinct.itertuples(index=False)]


def slugs(found: list[Comparison], shown: Callable[[str], str]) -> dict[Comparison, str]:
    """Return the end of the file names of each comparison: its data set, and what else is needed to tell it apart."""
    names: dict[Comparison, str] = {}
    for comparison in found:
        rivals = [other for other in found if other.dataset == comparison.dataset]
        telling = [part for part in COMPARISON if len({getattr(other, part) for other in rivals}) > 1]
        name = "_".join(slug(shown(getattr(comparison, part))) for part in ["dataset", *telling])
        taken = set(names.values())
        names[comparison] = next(
            new for new in (name, *(f"{name}_{i}" for i in range(2, len(found) + 2))) if new not in taken
        )
    return names


def slug(text: str) -> str:
    """Return ``text`` as a part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def separate_configurations(runs: pd.DataFrame) -> pd.DataFrame:
    """Return ``runs`` with a ``setting`` that also names what differs between configurations with the same labels.

    Without it, two configurations that differ in a field outside the labels (say, their batch size) would be averaged.

    Args:
        runs: one row a run, with the labels, ``configuration`` and ``definition`` (the resolved run, a nested dict).
    """
    runs = runs.copy()
    for _, group in runs.groupby(LABELS, sort=False):
        if group["configuration"].nunique() == 1:
            continue
        first = group.drop_duplicates("configuration")
        fields = {row.configuration: _flatten(row.definition) for row in first.itertuples()}
        names = list(dict.fromkeys(name for flat in fields.values() for name in flat))
        differing = [name for name in names if name != "seed" and len({flat.get(name) for flat in fields.values()}) > 1]
        extra = {
            configuration: ", ".join(f"{name}={flat.get(name, 'unset')}" for name in differing) or configuration
            for configuration, flat in fields.items()
        }
        runs.loc[group.index, "setting"] = group["setting"] + " [" + group["configuration"].map(extra) + "]"
    return runs


def _flatten(definition: Any) -> dict[str, str]:
    return {".".join(path): json.dumps(value) for path, value in leaves(definition)}
