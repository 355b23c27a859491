"""Read which setting was chosen for each method by earlier results, and label the runs with it ``chosen``."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.display_names import SettingLabel
from lipschitz.report.reading.printable_text import printable_json
from lipschitz.sweep.store import SweepFolder

CHOSEN = "chosen"
"""The setting under which runs with a chosen setting are compared."""
PICKED = "picked"
"""Column of `Results.runs`: the label of the setting that was chosen; empty where none was."""


def choices_of(folder: SweepFolder, warnings: list[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the choices, and the ids of the runs that they were made by: the best of the values of these is biased.

    The choices, and how many runs still wait for theirs, are added to the warnings.
    """
    definition = printable_json(folder.definition())
    choices: list[dict[str, Any]] = definition.get("chosen", [])
    tuning_runs: set[str] = set()
    for choice in choices:
        tuning_runs |= set(choice["runs"])
        value = "where every setting diverged" if choice["value"] is None else f"whose mean was {choice['value']:.4g}"
        seeds = ", ".join(map(str, choice["seeds"]))
        group = ", ".join(choice["group"].values())
        warnings.append(
            f"{group}: setting {choice['setting']}, {value}, was chosen by {choice['metric']} on seeds {seeds}"
        )
    if present := tuning_runs & set(folder.run_ids()):
        warnings.append(f"{len(present)} runs were used to choose settings; only the table of settings includes them")
    if definition.get("waiting"):
        warnings.append(
            f"{definition['waiting']} runs wait until their settings are chosen; this report shows the runs that "
            "settings are chosen by, and the best of their values are biased"
        )
    return choices, tuning_runs


def mark_chosen(rows: list[dict[str, Any]], choices: list[dict[str, Any]]) -> None:
    """Give each run whose setting was chosen the setting `CHOSEN`, and keep its own label under `PICKED`."""
    for row in rows:
        is_chosen = any(row["setting"] == choice["setting"] and choice_applies(choice, row) for choice in choices)
        row[PICKED] = row["setting"] if is_chosen else ""
        if is_chosen:
            row["setting_name"] = CHOSEN
            # Runs of different precisions remain separate.
            row["setting"] = SettingLabel(CHOSEN, row["precision"], row["extra"]).full


def choice_applies(choice: Mapping[str, Any], labels: Mapping[Any, Any]) -> bool:
    """Return whether the choice was made for the method, data set and model with these labels."""
    return all(labels[axis] == label for axis, label in choice["group"].items())


def add_picked_column(frame: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns `LABELS` and, if settings were chosen, a further column `PICKED`."""
    if not runs[PICKED].any():
        return frame
    return frame.join(runs.groupby(LABELS, sort=False)[PICKED].first(), on=LABELS)
