"""What a sweep has of published GANs of images: which configuration is which row, and what it reached."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from lipschitz.report.published.work import Method, PublishedWork, flatten
from lipschitz.report.reading.metric_names import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.tuning import PICKED, is_for
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import REAL

WORKS = ("miyato2018", "mimicry2020")
"""The published works on images of which the package has the numbers."""
_SHOWN = ["dataset", "model", "constraint", "loss", "setting"]


def configurations(results: Results, work: PublishedWork) -> pd.DataFrame:
    """Return one row for each configuration of ``sweep`` (the index) that the work has a method for.

    Columns: the labels, ``name`` of the data set, network and method as published, ``steps`` and the ``published``
    ones, ``tried``, whether several optimisers were, ``chosen``, how its setting was by results (None where it was
    not), ``differs``, what it was run with otherwise in words, and how many seeds ``finished`` and ``diverged``.
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
    return next(one for one in results.chosen if one["setting"] == first[PICKED] and is_for(one, first.to_dict()))


def differences(method: Method, run: Mapping[str, Any], steps: int) -> tuple[str, ...]:
    """Return in words all that a run of the method was run with otherwise than published, its steps included."""
    budget = [] if steps == method.iterations else [f"steps {steps} for {method.iterations}"]
    return (*budget, *method.differences(flatten(run)))


def reached(results: Results, work: PublishedWork, metric: str) -> pd.DataFrame:
    """Return what configurations (the index) reached in ``metric`` by the protocol of the work.

    After the last step, over the seeds that finished: n, mean, ci95 and ``predicted``, the half-width of the interval
    for one new seed.
    """
    last = results.labelled(
        results.outcomes[results.outcomes["which"] == "last"], ["configuration", "dataset", "status"]
    )
    last = last[(last["status"] == "finished") & _is_measured(results, work, metric, last)]
    table = aggregate(last, ["configuration", "metric"]).drop_duplicates("configuration").set_index("configuration")
    return table[["n", "mean", "ci95", "predicted"]]


def real(summary: Summary, work: PublishedWork, metric: str) -> dict[str, float]:
    """Return, by the label of a data set, what ``metric`` says of real data by the protocol of the work."""
    rows = summary.floors
    rows = rows[_is_measured(summary.results, work, metric, rows)].drop_duplicates("dataset")
    return {str(dataset): float(mean) for dataset, mean in zip(rows["dataset"], rows["mean"], strict=True)}


def others(results: Results, work: PublishedWork, metric: str, configuration: str) -> list[str]:
    """Return under which names a configuration has ``metric`` by another protocol than that of the work."""
    runs = results.runs.index[results.runs["configuration"] == configuration]
    names = results.outcomes.loc[results.outcomes["run"].isin(runs), ["run", "metric"]].drop_duplicates()
    names = results.labelled(names, ["dataset"])
    of_metric = names[(names["metric"].map(base) == metric) & ~_is_measured(results, work, metric, names)]
    return sorted(set(of_metric["metric"]))


def published_values(work: PublishedWork, metric: str) -> pd.DataFrame:
    """Return value, ``printed`` and ``place`` of each published row (the index: data set, network and method).

    The network of real data is empty.
    """
    values = work.values[work.values["metric"] == metric].fillna({"network": ""})
    datasets, methods = list(dict.fromkeys(values["dataset"])), [(one.network, one.name) for one in work.methods]
    rows = [("", REAL), *dict.fromkeys(methods)]
    places = {(dataset, *row): place for place, (dataset, row) in enumerate(product(datasets, rows))}
    keys = list(zip(values["dataset"], values["network"], values["method"], strict=True))
    table = values.set_index(["dataset", "network", "method"])[["value", "printed"]]
    return table.assign(place=[places[key] for key in keys])


def _is_measured(results: Results, work: PublishedWork, metric: str, rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say of each of ``rows``, with dataset and metric, whether it is ``metric`` by the protocol of the work."""
    wanted = work.measured[metric]
    names = {
        (str(dataset), str(name))
        for dataset, name, facts in results.protocols.itertuples(index=False)
        if base(name) == metric and _holds(wanted, facts)
    }
    keys = zip(rows["dataset"], rows["metric"], strict=True)
    return pd.Series([key in names for key in keys], index=rows.index, dtype=bool)


def _holds(wanted: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Say whether these are the facts of a number; of a protocol's variant, by all that the number depends on."""
    found = {**facts, "protocol": str(facts.get("protocol", "")).partition("(")[0]}
    return all(found.get(key) == value for key, value in wanted.items())
