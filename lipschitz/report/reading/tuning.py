"""Settings that were chosen by results: each method's own, and all of them one comparison."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS
from lipschitz.sweep.store import SweepFolder

CHOSEN = "chosen"
"""The setting of runs whose own one was chosen: what they are compared by is that choice."""
PICKED = "picked"
"""Column of `Results.runs`: the setting that was chosen; empty where none was."""


def choices_of(folder: SweepFolder, warnings: list[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Return what was chosen, and the ids of runs that it was chosen by: the best of their values is biased.

    What was chosen, and that runs are still to be chosen, is said in the warnings.
    """
    definition = folder.definition()
    choices: list[dict[str, Any]] = definition.get("chosen", [])
    found: set[str] = set()
    for choice in choices:
        found |= set(choice["runs"])
        value = "where every setting diverged" if choice["value"] is None else f"whose mean was {choice['value']:.4g}"
        seeds = ", ".join(map(str, choice["seeds"]))
        group = ", ".join(choice["group"].values())
        warnings.append(
            f"{group}: setting {choice['setting']}, {value}, was chosen by {choice['metric']} on seeds {seeds}"
        )
    if here := found & set(folder.run_ids()):
        warnings.append(f"{len(here)} runs that settings were chosen by are in no table but that of settings")
    if definition.get("waiting"):
        warnings.append(
            f"{definition['waiting']} runs wait until their settings are chosen: what stands here is what they are "
            "chosen by, and its best values are biased"
        )
    return choices, found


def mark(rows: list[dict[str, Any]], choices: list[dict[str, Any]]) -> None:
    """Give each run whose setting was chosen the setting `CHOSEN`, and keep its own under `PICKED`."""
    for row in rows:
        is_chosen = any(row["setting"] == choice["setting"] and fits(choice, row) for choice in choices)
        row[PICKED] = row["setting"] if is_chosen else ""
        if is_chosen:
            # A precision in brackets still keeps two runs apart.
            _, bracket, precision = row["setting"].partition(" [")
            row["setting"] = CHOSEN + bracket + precision


def fits(choice: Mapping[str, Any], labels: Mapping[Any, Any]) -> bool:
    """Say whether the choice was made for what has these labels."""
    return all(labels[axis] == label for axis, label in choice["group"].items())


def with_picked(frame: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns `LABELS` and, where settings were chosen, one more of each method's own."""
    if not runs[PICKED].any():
        return frame
    return frame.join(runs.groupby(LABELS, sort=False)[PICKED].first(), on=LABELS)
