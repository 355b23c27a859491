"""Find the configurations of a sweep that match published networks on images, and a GAN's values by their protocol."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from lipschitz.report.published.work import PublishedMethod, PublishedWork, flatten
from lipschitz.report.reading.display_names import bare_name
from lipschitz.report.reading.metric_names import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.tuning import PICKED, choice_applies
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import REAL

_SHOWN = ["dataset", "model", "constraint", "loss", "setting"]


def matching_configurations(results: Results, work: PublishedWork) -> pd.DataFrame:
    """Return one row for each configuration of the sweep (the index) that the work has a method for.

    Columns: the labels; ``name`` of the data set; ``network`` and ``method`` as published; ``steps`` and the
    ``published`` steps; ``tried``, whether the published value is the best of several optimisers; ``chosen``, the
    choice of its setting by results (None where there was none); ``differs``, its differences from the published runs
    in words; the numbers of seeds that ``finished`` and ``diverged``.
    """
    rows: list[dict[str, Any]] = []
    for configuration, group in results.runs.groupby("configuration", sort=False):
        run = results.definitions[str(configuration)]
        method = work.method_of(run)
        if method is None:
            continue
        first, ended = group.iloc[0], group["status"].value_counts()
        rows.append(
            {
                "configuration": configuration,
                **{label: first[label] for label in _SHOWN},
                "name": run["dataset"]["name"],
                "network": method.network,
                "method": method.name,
                "steps": int(first["steps"]),
                "published": method.iterations,
                "tried": bool(method.tried),
                "chosen": _choice(results, first),
                "differs": differences(method, run, int(first["steps"])),
                **{status: int(ended.get(status, 0)) for status in ("finished", "diverged")},
            }
        )
    return pd.DataFrame(rows).set_index("configuration") if rows else pd.DataFrame()


def _choice(results: Results, first: "pd.Series[Any]") -> dict[str, Any] | None:
    if not first[PICKED]:
        return None
    return next(
        one for one in results.chosen if one["setting"] == first[PICKED] and choice_applies(one, first.to_dict())
    )


def differences(method: PublishedMethod, run: Mapping[str, Any], steps: int) -> tuple[str, ...]:
    """Return in words all differences of a run from the published method, steps included."""
    budget = [] if method.iterations in (0, steps) else [f"steps {steps} for {method.iterations}"]
    return (*budget, *method.differences(flatten(run)))


def values_by_protocol(results: Results, work: PublishedWork, metric: str) -> pd.DataFrame:
    """Return the values of ``metric`` by the protocol of the work, for configurations (the index).

    After the last step, over the seeds that finished: metric, and what `aggregate` returns.
    """
    last = results.labelled(
        results.outcomes[results.outcomes["which"] == "last"], ["configuration", "dataset", "status"]
    )
    last = last[(last["status"] == "finished") & _is_measured(results, work, metric, last)]
    table = aggregate(last, ["configuration", "metric"])
    return table.drop_duplicates("configuration").set_index("configuration")


def real_data_values(summary: Summary, work: PublishedWork, metric: str) -> dict[str, float]:
    """Return ``metric`` of real data by the protocol of the work, by the label of the data set."""
    rows = summary.floors
    rows = rows[_is_measured(summary.results, work, metric, rows)].drop_duplicates("dataset")
    return {str(dataset): float(mean) for dataset, mean in zip(rows["dataset"], rows["mean"], strict=True)}


def other_metrics(results: Results, work: PublishedWork, metric: str, configuration: str) -> list[str]:
    """Return the names of ``metric`` by other protocols than the work's that a configuration has."""
    runs = results.runs.index[results.runs["configuration"] == configuration]
    names = results.outcomes.loc[results.outcomes["run"].isin(runs), ["run", "metric"]].drop_duplicates()
    names = results.labelled(names, ["dataset"])
    of_metric = names[(names["metric"].map(base) == metric) & ~_is_measured(results, work, metric, names)]
    return sorted(set(of_metric["metric"]))


def published_values(work: PublishedWork, metric: str) -> pd.DataFrame:
    """Return ``value``, ``printed`` and ``place`` of each published row (the index: data set, network and method).

    The network of real data is an empty string.
    """
    values = work.values[work.values["metric"] == metric].fillna({"network": ""})
    datasets, methods = list(dict.fromkeys(values["dataset"])), [(one.network, one.name) for one in work.methods]
    rows = [("", REAL), *dict.fromkeys(methods)]
    places = {(dataset, *row): place for place, (dataset, row) in enumerate(product(datasets, rows))}
    keys = list(zip(values["dataset"], values["network"], values["method"], strict=True))
    table = values.set_index(["dataset", "network", "method"])[["value", "printed"]]
    return table.assign(place=[places[key] for key in keys])


def _is_measured(results: Results, work: PublishedWork, metric: str, rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return for each of ``rows`` (dataset, metric) whether it is ``metric`` by the protocol of the work."""
    wanted = work.measured[metric]
    names = {
        (str(dataset), str(name))
        for dataset, name, facts in results.protocols.itertuples(index=False)
        if base(name) == metric and _agrees(wanted, facts)
    }
    keys = zip(rows["dataset"], rows["metric"], strict=True)
    return pd.Series([key in names for key in keys], index=rows.index, dtype=bool)


def _agrees(wanted: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Return whether a protocol has the wanted facts; a variant's fields are compared as facts, not by its name."""
    found = {**facts, "protocol": bare_name(str(facts.get("protocol", "")))}
    return all(found.get(key) == value for key, value in wanted.items())
