"""The final quality of methods on a data set, and one sentence from Welch's test: who is ahead, who may be equal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.reading.display_names import bare_name
from lipschitz.report.reading.metric_names import better, parse_metric
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import Interval
from lipschitz.report.statistics.significance import LEVEL, Compared, compare_with_best
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import ordered
from lipschitz.tasks.wording import wording

_MOST_NAMED = 6
"""Most methods that a sentence names one after the other."""
_FIRST_NAMED = 3
_MODEL, _LOSS, _SETTING = "model", "loss", "setting"


class Method(NamedTuple):
    """One method of a contest: its mean with its interval, the values of its finished seeds, and the others."""

    constraint: str
    name: str
    interval: Interval
    seeds: tuple[float, ...]
    diverged: int
    failed: int


@dataclass(frozen=True)
class Contest:
    """Methods that are compared with each other: of one data set, loss and setting, and of one model where it counts.

    Attributes:
        title: what tells it from the other contests on the data set; empty where there is one.
        methods: those with a seed that ended, in the fixed order.
        compared: by Welch's test, with places in ``tested``; None where fewer than two methods can be tested.
        tested: the methods without a diverged or failed seed, with two seeds or more.
    """

    title: str
    methods: list[Method]
    compared: Compared | None
    tested: list[Method]

    @property
    def not_worse(self) -> set[str]:
        """The names of the best method and of those that are not significantly worse."""
        if self.compared is None:
            return set()
        return {self.tested[place].name for place in (self.compared.best, *self.compared.similar)}

    def is_worse(self, method: Method) -> bool | None:
        """Return whether a method is significantly worse than the best one; None where it was not tested."""
        if self.compared is None or method not in self.tested:
            return None
        return method.name not in self.not_worse

    @property
    def sentence(self) -> str:
        """Who has the best mean, who cannot be told apart from it, how many are worse; names between backticks."""
        return _sentence(self)


@dataclass(frozen=True)
class FinalQuality:
    """The contests on one data set, by the metric that judges its methods first.

    Attributes:
        floor: the metric of real data, or of an optimal potential; NaN where it was not measured.
    """

    task: str
    dataset: str
    shown: str
    metric: str
    floor: float
    contests: list[Contest]

    @property
    def is_lower_better(self) -> bool:
        """Whether a lower value of the metric is better."""
        return better(self.metric) == "lower"


def final_quality(summary: Summary) -> list[FinalQuality]:
    """Return the final quality on each data set of the sweep that has a metric with a good direction."""
    runs, found = summary.results.runs, []
    for (task, dataset), rows in runs.groupby(["task", "dataset"], sort=False):
        if (metric := _judge(summary, str(task), str(dataset))) is None:
            continue
        contests = _contests(summary, rows, str(task), str(dataset), metric)
        if contests:
            floor = summary.floors_of(str(task), str(dataset)).get(metric, math.nan)
            shown = summary.results.shown(str(dataset))
            found.append(FinalQuality(str(task), str(dataset), shown, metric, floor, contests))
    return found


def _judge(summary: Summary, task: str, dataset: str) -> str | None:
    """Return the first metric of quality that was measured on a data set and that the task's tables show."""
    places, lookup = wording(task).judged_places, summary.lookup({"task": task, "dataset": dataset})
    measured = (name for name in summary.quality_metrics if lookup.has(name) and better(name) is not None)
    return next((name for name in measured if not places or parse_metric(name).place in places), None)


def _contests(summary: Summary, runs: pd.DataFrame, task: str, dataset: str, metric: str) -> list[Contest]:
    shares = wording(task).shares_tables
    by = [_LOSS, _SETTING] if shares else [_MODEL, _LOSS, _SETTING]
    differing = [name for name in by if runs[name].nunique() > 1]
    lookup, results = summary.lookup({"task": task, "dataset": dataset}), summary.results
    outcomes = results.outcomes
    last = outcomes[(outcomes["which"] == "last") & (outcomes["metric"] == metric)].set_index("run")["value"]
    finished = runs.index[runs["status"] == "finished"]
    values = runs.join(last.reindex(finished).rename("value"))
    short = _short_settings(runs, results)
    contests = []
    for key, rows in values.groupby(by, sort=False):
        shared = dict(zip(by, map(str, key), strict=True))
        several = rows[_MODEL].nunique() > 1
        methods = []
        for (constraint, model), own in rows.groupby(["constraint", _MODEL], sort=False):
            labels = pd.Series({**shared, _MODEL: model, "constraint": constraint})
            counts = own["status"].value_counts()
            if not counts.get("finished", 0) and not counts.get("diverged", 0):
                continue
            name = ", ".join(map(results.shown, map(str, (constraint, model)) if several else [str(constraint)]))
            interval = lookup.interval(labels, metric)
            seeds = tuple(own["value"].dropna())
            failures = (int(counts.get("diverged", 0)), int(counts.get("failed", 0)))
            methods.append(Method(str(constraint), name, interval, seeds, *failures))
        if not methods:
            continue
        place = {name: at for at, name in enumerate(ordered(method.constraint for method in methods))}
        methods.sort(key=lambda method: place[method.constraint])
        is_equal = not shares or rows["steps"].nunique() == rows["batch_size"].nunique() == 1
        title = ", ".join(_part(name, short.get(shared[name], results.shown(shared[name]))) for name in differing)
        contests.append(_tested(title, methods, metric) if is_equal else Contest(title, methods, None, []))
    return contests


def _short_settings(runs: pd.DataFrame, results: Results) -> dict[str, str]:
    """Return by label the names of settings without arguments, where these are all distinct."""
    labels = list(map(str, runs[_SETTING].unique()))
    short = {label: bare_name(results.shown(label)) for label in labels}
    return short if len(set(short.values())) == len(labels) else {}


def _part(name: str, label: str) -> str:
    return label if name == _MODEL else f"{name} {label}"


def _tested(title: str, methods: list[Method], metric: str) -> Contest:
    tested = [method for method in methods if method.interval.n > 1 and not method.diverged + method.failed]
    intervals = [method.interval for method in tested]
    return Contest(title, methods, compare_with_best(intervals, better(metric) == "lower"), tested)


def _sentence(contest: Contest) -> str:
    compared, tested = contest.compared, contest.tested
    if compared is None:
        return "Nothing was tested for significance: that takes two methods with two seeds or more, and equal budgets."
    best, worse = tested[compared.best], len(compared.worse)
    similar = [tested[place].name for place in compared.similar]
    mean = f"`{best.name}` ({best.interval.text})"
    if not similar:
        others = {1: "the other method is", 2: "both other methods are"}.get(worse, f"all {worse} other methods are")
        text = f"{mean} is ahead: {others} significantly worse"
    elif not worse:
        text = f"{mean} has the best mean, and no method is significantly worse"
    else:
        verb = "is" if worse == 1 else "are"
        text = f"{mean} has the best mean; {_listed(similar)} cannot be told apart from it, and {worse} {verb} "
        text += "significantly worse"
    return f"{text} ({_test(contest)}).{_left_out(contest)}"


def _test(contest: Contest) -> str:
    """Return the seeds and the test in words."""
    counts = [method.interval.n for method in contest.tested]
    few, many = min(counts), max(counts)
    seeds = f"{few} seeds" if few == many else f"{few} to {many} seeds"
    pairs = contest.compared.pairs if contest.compared else 0
    corrected = f", Holm's correction for {pairs} pairs" if pairs > 1 else ""
    return f"{seeds}, Welch's test at {100 * LEVEL:g} %{corrected}"


def _left_out(contest: Contest) -> str:
    names = [method.name for method in contest.methods if method not in contest.tested]
    return f" Not tested, for lack of a second seed or with a seed that failed: {_listed(names)}." if names else ""


def _listed(names: Sequence[Any]) -> str:
    """Return names in words; of many, the first ones and how many more."""
    quoted = [f"`{name}`" for name in names]
    shown = quoted if len(names) <= _MOST_NAMED else [*quoted[:_FIRST_NAMED], f"{len(names) - _FIRST_NAMED} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
