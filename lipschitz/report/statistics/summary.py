"""What each configuration reached: one row a (configuration, metric, last or best), over its training seeds."""

from collections import Counter

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.metrics.description import Description
from lipschitz.report.reading.comparisons import COMPARISON, LABELS
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.timing import values_of
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.style import ordered
from lipschitz.report.wording import floors as floor_names
from lipschitz.report.wording import wording

COLUMNS = [*LABELS, "metric", "which", "n", "mean", "ci95", "diverged"]
LARGEST = {"sigma_reshaped": "largest_sigma_reshaped", "sigma_operator": "largest_sigma_operator"}
"""σ by layer, and the name of the largest over the layers of one network."""

BESIDE = ("w1_dual", "w1_over_lower", "w1_over_upper")
"""Metrics with a floor that judge nothing by themselves: they are read beside the true value and the two bounds."""

AS_PUBLISHED = {"cosine": "cosine_float32", "l2": "l2_float32", "w1_dual": "w1_independent"}
"""By metric, its name as the code behind published numbers measures it: read beside these numbers, and nowhere else."""


def quality_metrics(results: Results) -> list[str]:
    """Return the metrics that judge what was learnt, in the catalogue's order: those with a floor and a table here."""
    aside = {*BESIDE, *AS_PUBLISHED.values()}
    return [name for name in _with_floor(results) if base(name) not in aside]


def metrics_beside(results: Results) -> list[str]:
    """Return the metrics of `BESIDE` that were measured, in the catalogue's order."""
    return [name for name in _with_floor(results) if base(name) in BESIDE]


def _with_floor(results: Results) -> list[str]:
    known = list(CATALOGUE)
    names = dict.fromkeys(results.outcomes.loc[results.outcomes["which"] == "floor", "metric"])
    return sorted(names, key=lambda name: known.index(base(name)) if base(name) in known else len(known))


def measured_metrics(results: Results) -> list[Description]:
    """Return everything in the catalogue that was measured or timed, in the catalogue's order."""
    measured = {base(name) for name in results.outcomes["metric"]} | {
        base(name) for name in results.records["metric"].unique()
    }
    timed = {name for timing in results.timings.values() for name in values_of(timing)}
    return [metric for name, metric in CATALOGUE.items() if name in measured | timed]


def summarise(results: Results) -> pd.DataFrame:
    """Return the table that becomes ``summary.csv`` (columns `COLUMNS`).

    Mean and ci95 (half-width, 95 % Student-t) are over the seeds that finished with a finite value, n of them; diverged
    seeds are counted apart. Real data against real data stands under the constraint ``real data``, or what else a task
    calls its floor. What the timing pass measured has n = 1 and no interval: it is one serial pass a configuration,
    whatever the number of seeds.
    """
    rows = pd.concat([_measured(results), _timed(results), _floors(results)], ignore_index=True)
    plan = results.runs[COMPARISON].drop_duplicates().reset_index(drop=True)
    plan["comparison"] = plan.index
    order = {name: place for place, name in enumerate([*floor_names(), *ordered(results.runs["constraint"])])}
    metrics = [*quality_metrics(results), *metrics_beside(results), *LARGEST.values(), *rows["metric"]]
    places = {name: place for place, name in enumerate(dict.fromkeys(metrics))}
    rows = rows.merge(plan, on=COMPARISON)
    rows["place"], rows["of_metric"] = rows["constraint"].map(order), rows["metric"].map(places)
    rows = rows.sort_values(["comparison", "place", "of_metric", "which"], ascending=[True, True, True, False])
    return rows[COLUMNS].astype({"n": int, "diverged": int}).reset_index(drop=True)


def counts(results: Results) -> pd.DataFrame:
    """Return how many runs of each configuration (the index: its labels) are in each status, one column a status."""
    table = results.runs.groupby([*LABELS, "status"], sort=False).size().unstack(fill_value=0)
    return table.reindex(columns=["finished", "diverged", "failed", "running", "waiting"], fill_value=0)


def overview(results: Results) -> dict[str, int]:
    """Return how many runs of the plan are in each status, those included that settings were chosen by."""
    found: Counter[str] = Counter()
    for part in (results, results.tuning):
        if part is not None:
            found.update(map(str, part.runs["status"]))
            found["waiting"] += part.waiting
    order = ("finished", "diverged", "failed", "running", "waiting")
    return {"planned": len(results.folder.run_ids())} | {status: found[status] for status in order if found.get(status)}


def floors(results: Results) -> pd.DataFrame:
    """Return what each metric says of real data, or of an optimal potential: task, dataset, metric, n, mean, ci95.

    Means are over seeds. Runs with the same seed measure the same floor, so it counts once a seed.
    """
    floor = results.labelled(results.outcomes[results.outcomes["which"] == "floor"], ["task", "dataset", "seed"])
    by_seed = floor.groupby(["task", "dataset", "metric", "seed"], sort=False)["value"].mean().reset_index()
    return aggregate(by_seed, ["task", "dataset", "metric"])


def true_w1(results: Results) -> dict[str, tuple[float, float]]:
    """Return, by data set, the W1 that is known of a pair of distributions, and its standard error."""
    rows = results.protocols[results.protocols["metric"].map(base).isin(BESIDE)]
    return {
        str(dataset): (float(facts["w1"]), float(facts["w1_standard_error"]))
        for dataset, facts in zip(rows["dataset"], rows["facts"], strict=True)
        if "w1" in facts
    }


def _measured(results: Results) -> pd.DataFrame:
    outcomes = results.outcomes[results.outcomes["which"] != "floor"]
    outcomes = results.labelled(pd.concat([outcomes, _largest_sigma(outcomes)]), [*LABELS, "status"])
    means = aggregate(outcomes[outcomes["status"] == "finished"], [*LABELS, "metric", "which"])
    asked = outcomes[[*COMPARISON, "metric", "which"]].drop_duplicates()
    tried = counts(results).reset_index()
    tried = tried[tried["finished"] + tried["diverged"] > 0][[*LABELS, "diverged"]]
    rows = tried.merge(asked, on=COMPARISON).merge(means, on=[*LABELS, "metric", "which"], how="left")
    return rows.fillna({"n": 0})


def _largest_sigma(outcomes: pd.DataFrame) -> pd.DataFrame:
    kind = outcomes["metric"].map(base)
    of_layers = outcomes[kind.isin(LARGEST)].assign(metric=kind.map(LARGEST))
    return of_layers.groupby(["run", "which", "metric"], sort=False)["value"].max().reset_index()


def _timed(results: Results) -> pd.DataFrame:
    tried = counts(results)["diverged"].reset_index()
    configurations = results.runs[["configuration", *LABELS]].drop_duplicates().merge(tried, on=LABELS)
    rows = []
    for row in configurations.to_dict("records"):
        timing = results.timings.get(row.pop("configuration"), {})
        for metric, value in values_of(timing).items():
            rows.append(row | {"metric": metric, "which": "last", "n": 1, "mean": value, "ci95": float("nan")})
    return pd.DataFrame(rows, columns=COLUMNS)


def _floors(results: Results) -> pd.DataFrame:
    plan = results.runs[COMPARISON].drop_duplicates()
    floor = plan["task"].map(lambda task: wording(task).floor)
    rows = plan.assign(constraint=floor).merge(floors(results), on=["task", "dataset"])
    return rows.assign(which="last", diverged=0)
