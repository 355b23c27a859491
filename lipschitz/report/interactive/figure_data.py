"""The numbers behind the interactive figures: final values and curves of each comparison, thinned, as JSON."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lipschitz.report.plots.data import ComparisonData, SweepData
from lipschitz.report.reading.comparisons import COMPARISON
from lipschitz.report.reading.metric_names import better, heading, parse_metric
from lipschitz.report.statistics.geometric import is_geometric
from lipschitz.report.statistics.summary import LARGEST_SIGMA
from lipschitz.report.style import FAMILIES, family_of
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.wording import wording

MOST_NUMBERS = 60_000
"""Numbers in the JSON of a page, about half a megabyte."""
_MOST_POINTS = 200
"""Steps of a curve that are shown."""
_FEWEST_POINTS = 5
"""Steps of a curve below which no curve is shown."""
_DIGITS = 4
_HEADINGS = {
    LARGEST_SIGMA["sigma_reshaped"]: "Largest σ of a layer, reshaped kernel",
    LARGEST_SIGMA["sigma_operator"]: "Largest σ of a layer, operator",
}
"""Headings of metrics that the catalogue does not have."""
_FOLLOWING = ("lipschitz_exact", "lipschitz_lower", "lipschitz_upper", *LARGEST_SIGMA.values())
"""Metrics after those of quality, in this order; all others follow in the order of the summary."""


def figure_data(data: SweepData, most_numbers: int = MOST_NUMBERS) -> dict[str, Any]:
    """Return what the interactive figures show, ready for JSON; NaN and infinity are ``null`` there.

    Final values come first, metric by metric, then single seeds, then curves with as many steps as fit; what does not
    fit is left out and named in ``left_out``. Metrics of single layers and of places of gradients are not shown.

    Args:
        data: of the sweep.
        most_numbers: about how many numbers to return.

    Returns:
        - ``methods``: by place, ``label`` (as recorded), ``name`` (as shown), ``family``, ``colour``, ``marker``.
        - ``metrics``: by name, ``title``, ``better`` and whether its axis is first ``log``.
        - ``comparisons``: ``title``; ``floor``, its name; ``reaches``, whether axes reach it; ``floors`` by metric;
          ``labels`` and ``seconds`` (of a training step) by place of the method; ``final`` by metric, rows of method,
          mean, low, high, n and values of seeds; ``curves`` by metric, rows of method, steps, means, low and high ends.
        - ``left_out``: sentences, which may be empty.
    """
    methods = data.comparisons[0].styles if data.comparisons else {}
    places = {label: place for place, label in enumerate(methods)}
    metrics = _metrics(data)
    parts = [_Part(one, places) for one in data.comparisons]
    left_out: list[str] = []
    left = _add_final(parts, data, metrics, most_numbers, left_out)
    left = _add_seeds(parts, data, left, left_out)
    _add_curves(parts, [name for name in metrics if not name.startswith("largest_")], left, left_out)
    shown = {name for part in parts for name in (*part.final, *part.curves)}
    return {
        "methods": [_method(label, data) for label in methods],
        "metrics": {name: _metric(name, data) for name in metrics if name in shown},
        "comparisons": [part.as_json() for part in parts if part.final or part.curves],
        "left_out": left_out,
    }


def as_script(value: Any) -> str:
    """Return ``value`` as JSON that can stand inside a ``<script>`` element whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass
class _Part:
    """One comparison while its numbers are collected."""

    data: ComparisonData
    places: dict[str, int]
    final: dict[str, list[list[Any]]] = field(default_factory=dict)
    curves: dict[str, list[list[Any]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        one, task = self.data, wording(self.data.comparison.task)
        return {
            "title": one.title.replace("  ·  ", ", "),
            "floor": task.floor,
            "reaches": task.axes_reach_floor,
            "floors": {name: _rounded(value) for name, value in one.floors.items() if math.isfinite(value)},
            "labels": {self.places[name]: text.replace("  ", " ") for name, text in one.labels.items()},
            "seconds": {
                self.places[name]: _rounded(iteration_ms(timing) / 1000) for name, timing in one.timings.items()
            },
            "final": self.final,
            "curves": self.curves,
        }


def _metrics(data: SweepData) -> list[str]:
    """Return the metrics of a whole network or its samples: quality first, then Lipschitz constants and σ, then all."""
    recorded = data.summary.frame["metric"].unique()
    quality = [*data.summary.quality_metrics, *data.summary.critic_w1_metrics]
    whole = [name for name in recorded if not parse_metric(name).place]
    found = dict.fromkeys([*quality, *(name for name in _FOLLOWING if name in whole), *whole])
    return [str(name) for name in found]


def _metric(name: str, data: SweepData) -> dict[str, Any]:
    title = wording(data.comparisons[0].comparison.task).adapted(_HEADINGS.get(name) or heading(name))
    return {"title": title, "better": better(name), "log": is_geometric(name)}


def _method(label: str, data: SweepData) -> dict[str, str]:
    style, family = data.comparisons[0].styles[label], family_of(label)
    shown = data.summary.results.shown(label)
    title = family.title if family in FAMILIES else ""
    return {"label": label, "name": shown, "family": title, "colour": style.colour, "marker": style.marker}


def _add_final(parts: Sequence[_Part], data: SweepData, metrics: Sequence[str], left: int, left_out: list[str]) -> int:
    """Add mean, interval and n of the last step, metric by metric while numbers are ``left``; return how many are."""
    frame = data.summary.frame
    frame = frame[(frame["which"] == "last") & np.isfinite(frame["mean"].astype(float))]
    grouped = dict(list(frame.groupby([*COMPARISON, "metric"], sort=False)))
    dropped: dict[str, None] = {}
    for metric in metrics:
        for part in parts:
            rows = grouped.get((*part.data.comparison, metric))
            rows = None if rows is None else rows[rows["constraint"].isin(part.places)]
            if rows is None or rows.empty:
                continue
            if 4 * len(rows) > left:
                dropped[metric] = None
                continue
            left -= 4 * len(rows)
            values = rows[["constraint", "mean", "low", "high", "n"]].itertuples(index=False, name=None)
            part.final[metric] = [
                [part.places[name], _rounded(mean), _rounded(low), _rounded(high), int(n)]
                for name, mean, low, high, n in values
            ]
    if dropped:
        left_out.append(f"Final values of {_listed(dropped)} are left out for some or all data sets.")
    return left


def _add_seeds(parts: Sequence[_Part], data: SweepData, left: int, left_out: list[str]) -> int:
    """Add the values of single seeds to the rows of final values, if all fit; return how many numbers are left."""
    results = data.summary.results
    outcomes = results.outcomes[results.outcomes["which"] == "last"]
    shown = {metric for part in parts for metric in part.final}
    outcomes = outcomes[outcomes["metric"].isin(shown) & np.isfinite(outcomes["value"].astype(float))]
    if len(outcomes) > left:
        left_out.append("Values of single seeds are left out.")
        return left
    labelled = results.labelled(outcomes, [*COMPARISON, "constraint", "status"])
    labelled = labelled[labelled["status"] == "finished"]
    keys = [labelled[name] for name in (*COMPARISON, "metric", "constraint")]
    values = labelled["value"].groupby(keys, sort=False).agg(list).to_dict()
    for part in parts:
        labels = {place: name for name, place in part.places.items()}
        for metric, rows in part.final.items():
            for row in rows:
                found = values.get((*part.data.comparison, metric, labels[row[0]]), [])
                row.append([_rounded(value) for value in found])
    return left - len(labelled)


def _add_curves(parts: Sequence[_Part], metrics: Sequence[str], left: int, left_out: list[str]) -> None:
    """Add curves over training, each with about as many steps as fit into ``left`` numbers."""
    frames = [one.data.curves[one.data.curves["metric"].isin(metrics)] for one in parts]
    number = sum(len(frame[["metric", "constraint"]].drop_duplicates()) for frame in frames)
    if not number:
        return
    points = min(_MOST_POINTS, left // (4 * number))
    if points < _FEWEST_POINTS:
        left_out.append("Curves over training are left out.")
        return
    most = 0
    for part, frame in zip(parts, frames, strict=True):
        by_metric = dict(list(frame.groupby("metric", sort=False)))
        for metric in [name for name in metrics if name in by_metric]:
            part.curves[metric] = list(_lines(by_metric[metric], part.places, points))
        most = max(most, int(frame.groupby(["metric", "constraint"], sort=False).size().max())) if len(frame) else most
    if most > points:
        left_out.append(f"Curves show {points} of up to {most} evaluated steps.")


def _lines(rows: pd.DataFrame, places: dict[str, int], points: int) -> Iterator[list[Any]]:
    for name, line in rows.groupby("constraint", sort=False):
        kept = line.iloc[np.unique(np.linspace(0, len(line) - 1, min(points, len(line))).round().astype(int))]
        columns = ([_rounded(value) for value in kept[column]] for column in ("mean", "low", "high"))
        yield [places[str(name)], kept["step"].astype(int).tolist(), *columns]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(heading(name) for name in names)
