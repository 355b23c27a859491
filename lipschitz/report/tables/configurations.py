"""The configurations of a sweep in the order of its tables, with their runs counted, their steps and their budget."""

from typing import Any

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.tuning import PICKED
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import ordered


def configurations_in_order(summary: Summary) -> pd.DataFrame:
    """Return one row a configuration, in the plan's order of comparisons and the fixed order of constraints."""
    results = summary.results
    # Joined by label: unstacking the counts has sorted them.
    runs = results.runs.assign(
        budget=results.runs["configuration"].map(lambda name: _seconds(results.definitions[name]))
    )
    runs["budget"] = runs["budget"].fillna(runs["steps"].map(str))
    facts = runs.groupby(LABELS).agg({"steps": "max", "batch_size": "max", "budget": "first", PICKED: "first"})
    table = summary.counts.join(facts).reset_index()
    place = {name: index for index, name in enumerate(ordered(table["constraint"]))}
    columns = ["task", "dataset", "model", "loss", "setting"]
    table["comparison"] = table.groupby(columns, sort=False).ngroup()
    table["place"] = table["constraint"].map(place)
    return table.sort_values(["comparison", "place"]).drop(columns=["comparison", "place"])


def _seconds(definition: dict[str, Any]) -> str | None:
    """Return the seconds that a run was given, None if it was given steps."""
    seconds = definition.get("training", {}).get("seconds")
    return None if seconds is None else f"{seconds} s"
