"""How much each method depends on the setting: what each reached with every setting that it was trained with."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.comparisons import slug
from lipschitz.report.protocols import base
from lipschitz.report.records import Sweep
from lipschitz.report.statistics import aggregate
from lipschitz.report.style import Style, ordered, styles
from lipschitz.report.summary import floors, quality_metrics


class Group(NamedTuple):
    """What runs must share for one to differ from another by method and setting alone."""

    task: str
    dataset: str
    model: str
    training: str
    """Budget, batch size and what else a run is given besides its setting, as JSON."""


class Method(NamedTuple):
    """What a setting is tried with: a constraint and the loss."""

    constraint: str
    loss: str


@dataclass(frozen=True)
class Settings:
    """What the methods of one group reached with each of their settings.

    Attributes:
        metrics: what is compared: first what settings were chosen by, if they were, or else the first that judges what
            was learnt; then the first whose good direction is the other one.
        methods: every method that was tried with several settings: constraints in the fixed order, losses as planned.
        settings: labels in the plan's order.
        runs: by (constraint, loss, setting), how many runs finished, how many diverged, and how many did not end.
        finals: after the last step, over the seeds that finished: constraint, loss, setting, metric, n, mean, ci95.
        floors: what each metric says of real data, or of an optimal potential.
        seeds: those that the values are of.
        tuned: whether settings were chosen by these runs, which then stand in no other table.
        picked: the settings that were chosen, by method; empty where none were.
        suffix: the end of a file's name.
        sweep: the runs.
    """

    group: Group
    metrics: list[str]
    methods: list[Method]
    settings: list[str]
    runs: dict[tuple[str, ...], tuple[int, int, int]]
    finals: pd.DataFrame
    floors: dict[str, float]
    seeds: list[int]
    tuned: bool
    picked: dict[Method, str]
    looks: dict[str, Style]
    suffix: str
    sweep: Sweep

    @property
    def title(self) -> str:
        """What the runs share."""
        shown = self.sweep.shown
        return f"{shown(self.group.dataset)}  ·  {shown(self.group.model)}, {self.usual_loss} loss"

    @cached_property
    def usual_loss(self) -> str:
        """The loss of most methods; a title names it, and the others' stand beside their names."""
        return Counter(method.loss for method in self.methods).most_common(1)[0][0]

    @property
    def has_other_losses(self) -> bool:
        """Whether a method has another loss than the usual one."""
        return len({method.loss for method in self.methods}) > 1

    def name(self, method: Method) -> str:
        """Return how a method is shown: with its loss where that is not the usual one."""
        return method.constraint if method.loss == self.usual_loss else f"{method.constraint}, {method.loss}"

    @cached_property
    def setting_names(self) -> dict[str, str]:
        """By label, how a setting is shown: without what the group says already, where that leaves them distinct."""
        short = {label: self.sweep.shown(label).partition(" [")[0] for label in self.settings}
        return short if len(set(short.values())) == len(short) else {label: self.sweep.shown(label) for label in short}

    def settings_of(self, method: Method) -> list[str]:
        """Return the settings of a method with which a run ended, in the plan's order."""
        return [setting for setting in self.settings if sum(self.counts(method, setting)[:2])]

    def counts(self, method: Method, setting: str) -> tuple[int, int, int]:
        """Return how many runs finished, how many diverged, and how many did not end."""
        return self.runs.get((*method, setting), (0, 0, 0))

    def is_picked(self, method: Method, setting: str) -> bool:
        """Return whether this is the setting that was chosen for the method."""
        return self.picked.get(method) in (setting, setting.partition(" [")[0])

    @cached_property
    def _values(self) -> dict[tuple[str, ...], tuple[float, float]]:
        keys = self.finals[["constraint", "loss", "setting", "metric"]].itertuples(index=False, name=None)
        values = self.finals[["mean", "ci95"]].itertuples(index=False, name=None)
        return dict(zip(keys, values, strict=True))

    def value(self, method: Method, setting: str, metric: str) -> tuple[float, float]:
        """Return mean and ci95 over the seeds that finished, NaN where there is none."""
        return self._values.get((*method, setting, metric), (float("nan"), float("nan")))


def settings_of(sweep: Sweep) -> list[Settings]:
    """Return the groups of a sweep in which methods were tried with several settings, in the order of its plan.

    Where settings were chosen by runs these are compared, at every setting; the runs that the choice led to, each
    method's with one setting, say nothing of how much depends on it.
    """
    parts = [(part, part is sweep.tuning) for part in (sweep.tuning, sweep) if part is not None]
    looks = styles([label for part, _ in parts for label in part.runs["constraint"]])
    found = [one for part, tuned in parts for one in _of_part(part, tuned, looks)]
    return [one for one in found if one.metrics]


def _of_part(sweep: Sweep, tuned: bool, looks: dict[str, Style]) -> Iterator[Settings]:
    training = {name: json.dumps(run.get("training"), sort_keys=True) for name, run in sweep.definitions.items()}
    runs = sweep.runs.assign(training=sweep.runs["configuration"].map(training))
    tried = runs.groupby([*Group._fields, *Method._fields], sort=False)["setting"].transform("nunique")
    runs = runs[tried > 1]
    last = sweep.labelled(sweep.outcomes[sweep.outcomes["which"] == "last"], ["status"])
    real, quality = floors(sweep), quality_metrics(sweep)
    groups = {Group(*map(str, key)): rows for key, rows in runs.groupby(list(Group._fields), sort=False)}
    for (group, rows), suffix in zip(groups.items(), _suffixes(sweep, list(groups), tuned), strict=True):
        measured = last[last["run"].isin(rows.index)]
        there = set(measured["metric"])
        metrics = _shown([name for name in quality if name in there], [choice["metric"] for choice in sweep.chosen])
        final = measured[(measured["status"] == "finished") & measured["metric"].isin(metrics)]
        final = final.join(rows[[*Method._fields, "setting"]], on="run")
        place = {name: index for index, name in enumerate(ordered(rows["constraint"]))}
        methods = list(dict.fromkeys(Method(*key) for key in rows[list(Method._fields)].itertuples(index=False)))
        methods.sort(key=lambda method: place[method.constraint])
        yield Settings(
            group,
            metrics,
            methods,
            list(dict.fromkeys(rows["setting"])),
            _ends(rows),
            aggregate(final, [*Method._fields, "setting", "metric"]),
            {
                str(row["metric"]): float(row["mean"])
                for row in real.to_dict("records")
                if (row["task"], row["dataset"]) == (group.task, group.dataset)
            },
            sorted(set(rows["seed"])),
            tuned,
            {method: picked for method in methods if (picked := _picked(sweep.chosen, group, method))} if tuned else {},
            looks,
            suffix,
            sweep,
        )


def _ends(rows: pd.DataFrame) -> dict[tuple[str, ...], tuple[int, int, int]]:
    found = {}
    for key, group in rows.groupby([*Method._fields, "setting"], sort=False)["status"]:
        finished, diverged = int((group == "finished").sum()), int((group == "diverged").sum())
        found[tuple(map(str, key))] = (finished, diverged, len(group) - finished - diverged)
    return found


def _shown(quality: list[str], chosen_by: list[str]) -> list[str]:
    """Return what is compared: one metric, and one whose good direction is the other one, of the same protocol if any.

    SN-GAN compares settings by FID and by Inception Score (arXiv:1802.05957, Figures 1 and 2).
    """
    judging = [name for name in quality if _better(name)]
    first = next((name for name in [*chosen_by, *judging] if name in judging), None)
    if first is None:
        return []
    others = [name for name in judging if _better(name) != _better(first)]
    protocol = first.removeprefix(base(first))
    return [first, *[*[name for name in others if name.endswith(protocol)], *others][:1]]


def _better(metric: str) -> str | None:
    known = CATALOGUE.get(base(metric))
    return known.better if known else None


def _picked(chosen: list[dict[str, Any]], group: Group, method: Method) -> str | None:
    labels = {**group._asdict(), **method._asdict()}
    fitting = (choice for choice in chosen if choice["group"].items() <= labels.items())
    return next((str(choice["setting"]) for choice in fitting), None)


def _suffixes(sweep: Sweep, groups: list[Group], tuned: bool) -> list[str]:
    """Return the end of the file names of each group: its data set, and what else is needed to tell it apart."""
    found: list[str] = []
    for group in groups:
        rivals = [other for other in groups if other.dataset == group.dataset]
        telling = [part for part in ("task", "model") if len({getattr(other, part) for other in rivals}) > 1]
        parts = [slug(sweep.shown(getattr(group, part))) for part in ["dataset", *telling]]
        name = "_".join([*parts, *(["tuning"] if tuned else [])])
        found.append(next(new for new in chain([name], (f"{name}_{i}" for i in count(2))) if new not in found))
    return found
