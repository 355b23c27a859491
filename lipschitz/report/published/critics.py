"""Group the critics of a sweep by kind of pair and setting. A group shares a figure or table across dimensions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from lipschitz.report.published.work import read_published_work
from lipschitz.report.reading.comparisons import slug
from lipschitz.report.reading.display_names import critic_name, pair_name
from lipschitz.report.reading.metric_names import base, parse_metric
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import aggregate, mean_interval
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import ordered


@dataclass(frozen=True)
class CriticFamily:
    """Pairs of distributions that differ only in dimension and width, and the critics of one setting on them.

    Attributes:
        kind: of the pairs, as people read it.
        setting: the label of the setting.
        suffix: the end of a file's name; empty where the sweep has one setting.
        cells: one row a configuration (the index): dataset, dim and width (the number of funnels; 0 where the pairs
            have no such field), model, its activation, constraint, steps, the seeds that finished and those that
            diverged, and the name of its published ``method`` (None where there is none).
        finals: after the last step, over the seeds that finished: configuration, metric, and what `aggregate` returns.
        floors: the metrics of the optimal potential: dataset, metric, mean.
        true_w1: by data set, W1 and its standard error.
    """

    kind: str
    setting: str
    suffix: str
    cells: pd.DataFrame
    finals: pd.DataFrame
    floors: pd.DataFrame
    true_w1: dict[str, tuple[float, float]]
    results: Results

    @property
    def title(self) -> str:
        """The kind of the pairs, and the setting."""
        return f"{self.kind}  ·  setting {self.results.shown(self.setting)}"

    @cached_property
    def series(self) -> list[tuple[str, str]]:
        """Every (constraint, model): models in the plan's order, constraints in the fixed order."""
        models = list(dict.fromkeys(self.cells["model"]))
        trained = set(zip(self.cells["constraint"], self.cells["model"], strict=True))
        constraints = ordered(self.cells["constraint"])
        return [(name, model) for model in models for name in constraints if (name, model) in trained]

    @cached_property
    def series_names(self) -> dict[tuple[str, str], str]:
        """By series, its constraint, with the model where there are several; or the common name of the two together."""
        alone = self.cells.groupby("constraint")["model"].nunique() == 1
        activations = self.cells.drop_duplicates("model").set_index("model")["activation"]
        return {
            (name, model): critic_name(name, activations[model])
            or (name if alone[name] else f"{name}, {self.results.shown(model)}")
            for name, model in self.series
        }

    def values(self, metric: str) -> pd.DataFrame:
        """Return the cells in which ``metric`` was measured, with what `aggregate` returns of it."""
        measured = self.finals[self.finals["metric"] == metric].set_index("configuration").drop(columns="metric")
        return self.cells.join(measured, how="inner")

    def mean_at(self, configuration: str, metric: str, step: int) -> float:
        """Return the mean of ``metric`` after ``step`` over the seeds that finished; NaN where one was not measured."""
        runs = self.results.runs
        finished = runs.index[(runs["configuration"] == configuration) & (runs["status"] == "finished")]
        records = self.results.records
        rows = records[records["run"].isin(finished) & (records["step"] == step)]
        values = rows.loc[rows["metric"].map(lambda name: parse_metric(name).recorded) == metric, "value"]
        return mean_interval(list(values), metric).mean if len(values) == len(finished) > 0 else float("nan")

    def floor_of(self, dataset: str, metric: str) -> float:
        """Return ``metric`` of the optimal potential of ``dataset``; NaN where it was not measured."""
        rows = self.floors[(self.floors["dataset"] == dataset) & (self.floors["metric"] == metric)]
        return float(rows["mean"].iloc[0]) if len(rows) else float("nan")

    def published_values(self, metric: str) -> pd.DataFrame:
        """Return the cells with a published value of ``metric``: the number ``published``, and the text ``printed``."""
        values = read_published_work().values.rename(columns={"value": "published"})
        of_metric = values[values["metric"] == metric].set_index(["dim", "width", "method"])[["published", "printed"]]
        found = self.cells.join(of_metric, on=["dim", "width", "method"])
        return found[found["published"].notna()]


def families(summary: Summary) -> list[CriticFamily]:
    """Return the families of a sweep in the order of its plan; only the task transport has any."""
    results = summary.results
    cells = _cells(results)
    if cells.empty:
        return []
    finals, optimal = _finals(results, cells), _optimal(summary)
    found = []
    for (kind, setting), group in cells.groupby(["kind", "setting"], sort=False):
        of_group = finals[finals["configuration"].isin(group.index)]
        suffix = f"_{slug(results.shown(str(setting)))}" if cells["setting"].nunique() > 1 else ""
        found.append(CriticFamily(str(kind), str(setting), suffix, group, of_group, optimal, summary.true_w1, results))
    return found


def _cells(results: Results) -> pd.DataFrame:
    rows = []
    runs = results.runs[results.runs["task"] == "transport"]
    for configuration, group in runs.groupby("configuration", sort=False):
        run = results.definitions[str(configuration)]
        data: dict[str, Any] = run.get("dataset", {})
        first = group.iloc[0]
        method = read_published_work().method_of(run)
        rows.append(
            {
                "configuration": configuration,
                "kind": pair_name(first["dataset"], {}),
                "dim": int(data.get("dim", 0)),
                "width": int(data.get("width", 0)),
                "activation": str(run.get("model", {}).get("activation", "")),
                "method": method.name if method else None,
                **{name: first[name] for name in ("dataset", "model", "constraint", "loss", "setting", "steps")},
                **{
                    status: tuple(sorted(group.loc[group["status"] == status, "seed"]))
                    for status in ("finished", "diverged")
                },
            }
        )
    return pd.DataFrame(rows).set_index("configuration") if rows else pd.DataFrame()


def _finals(results: Results, cells: pd.DataFrame) -> pd.DataFrame:
    last = results.labelled(results.outcomes[results.outcomes["which"] == "last"], ["configuration", "status"])
    last = last[(last["status"] == "finished") & last["configuration"].isin(cells.index)]
    # A configuration has one protocol, so that the protocol's name can be dropped.
    last = last.assign(metric=last["metric"].map(lambda name: parse_metric(name).recorded))
    return aggregate(last, ["configuration", "metric"])


def _optimal(summary: Summary) -> pd.DataFrame:
    rows = summary.floors
    rows = rows[rows["task"] == "transport"].assign(metric=rows["metric"].map(base))
    return rows.drop_duplicates(["dataset", "metric"])[["dataset", "metric", "mean"]]
