"""Parse and write the names of metrics: headings of columns, and one name for each evaluation protocol."""

import json
from functools import cache
from typing import NamedTuple

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.metrics.description import Description


class MetricName(NamedTuple):
    """The parts of a metric's name, ``fid/sngan [protocol 2]``."""

    base: str
    """Name in the catalogue: ``fid``."""
    place: str
    """What follows the slash, ``sngan``: the protocol, or the layer or the kind of samples; may be empty."""
    variant: str
    """Which of several protocols of this name on one data set, ``protocol 2``; empty where there is one."""

    @property
    def full(self) -> str:
        """The name as it is written."""
        return self.base + self.qualifier

    @property
    def qualifier(self) -> str:
        """All that follows the base: place and variant."""
        return (f"/{self.place}" if self.place else "") + (f" [{self.variant}]" if self.variant else "")

    @property
    def recorded(self) -> str:
        """The name under which runs record it: without the variant."""
        return self._replace(variant="").full

    @property
    def metric(self) -> Description | None:
        """The entry of the catalogue, None where it has none."""
        return CATALOGUE.get(self.base)


@cache
def parse_metric(name: str) -> MetricName:
    """Return the parts of a metric's name as it stands in a table of records."""
    recorded, _, variant = name.partition(" [")
    base_name, _, place = recorded.partition("/")
    return MetricName(base_name, place, variant.removesuffix("]"))


def base(name: str) -> str:
    """Return the name under which the catalogue knows a metric: without place and variant."""
    return parse_metric(name).base


def better(name: str) -> str | None:
    """Return which direction of a metric is good, ``lower`` or ``higher``; None where neither is, or it is unknown."""
    metric = parse_metric(name).metric
    return None if metric is None else metric.better


def heading(name: str) -> str:
    """Return the title of a metric with its unit, its place, its variant, and an arrow for the good direction."""
    parsed = parse_metric(name)
    if parsed.metric is None:
        return name
    arrow = {"lower": " ↓", "higher": " ↑", None: ""}[parsed.metric.better]
    return parsed.metric.label + parsed.qualifier + arrow


def separate_protocols(
    runs: pd.DataFrame, records: pd.DataFrame, outcomes: pd.DataFrame, facts: pd.DataFrame, warnings: list[str]
) -> pd.DataFrame:
    """Rename, in place, each metric that was measured by several protocols on one data set; return all protocols.

    Values measured by different protocols must not share a name, because they cannot be compared.

    Args:
        runs: index run id, with ``dataset`` and ``configuration``.
        records: with ``run`` and ``metric``.
        outcomes: with ``run`` and ``metric``.
        facts: run, metric, facts (canonical JSON), for the runs that ended.
        warnings: a line is appended for each metric that is split.

    Returns:
        One row a protocol: dataset, metric (its new name), facts (a dict).
    """
    facts = facts.join(runs[["dataset", "configuration"]], on="run")
    # Earlier versions did not name the data; runs on other data are refused elsewhere.
    facts["facts"] = facts["facts"].map({text: _without_data(text) for text in facts["facts"].unique()})
    protocols = []
    for key, group in facts.groupby(["dataset", "metric"], sort=False):
        dataset, metric = map(str, key)
        distinct = list(dict.fromkeys(group["facts"]))
        new_names = {distinct[0]: metric}
        if len(distinct) > 1:
            parsed = parse_metric(metric)
            new_names = {
                text: parsed._replace(variant=f"protocol {number}").full for number, text in enumerate(distinct, 1)
            }
            warnings.append(
                f"{dataset}: {metric} was measured by {len(distinct)} protocols, which are reported separately"
            )
            of_configuration = group.set_index("configuration")["facts"].map(new_names).groupby(level=0).first()
            of_run = runs.loc[runs["dataset"] == dataset, "configuration"].map(of_configuration)
            of_run.update(group.set_index("run")["facts"].map(new_names))
            of_run = of_run.fillna(parsed._replace(variant="protocol not known").full)
            for frame in (records, outcomes):
                _rename(frame, metric, of_run)
        protocols += [(dataset, new_names[text], json.loads(text)) for text in distinct]
    return pd.DataFrame(protocols, columns=["dataset", "metric", "facts"])


def _without_data(facts: str) -> str:
    return json.dumps({key: value for key, value in json.loads(facts).items() if key != "data"}, sort_keys=True)


def _rename(frame: pd.DataFrame, metric: str, of_run: pd.Series) -> None:
    affected = (frame["metric"] == metric) & frame["run"].isin(of_run.index)
    frame.loc[affected, "metric"] = frame.loc[affected, "run"].map(of_run)
