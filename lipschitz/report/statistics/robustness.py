"""How much each method depends on the setting: what each reached with every setting that it was trained with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lipschitz.report.reading.comparable import Group, suffixes, telling, training_of
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.tuning import fits
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.statistics.summary import floors, quality_metrics
from lipschitz.report.statistics.targets import better
from lipschitz.report.style import Style, ordered, styles


class Method(NamedTuple):
    """What a setting is tried with: a constraint and the loss."""

    constraint: str
    loss: str


@dataclass(frozen=True)
class Settings:
    """What the methods of one group reached with each of their settings.

    Attributes:
        told_by: in words, how the training differs from that of other groups of this data set and model; may be empty.
        metrics: what is compared: first what settings were chosen by, if they were, or else the first that judges what
            was learnt; then the first whose good direction is the other one.
        methods: every method that was tried with several settings: constraints in the fixed order, losses as planned.
        settings: labels in the plan's order.
        runs: by (constraint, loss, setting), how many runs finished, how many diverged, and how many did not end.
        unmeasured: by (constraint, loss, setting, metric), how many runs finished with no finite value after the last
            step; only where some did.
        finals: after the last step, over the seeds that finished: constraint, loss, setting, metric, n, mean, ci95.
        floors: what each metric says of real data, or of an optimal potential.
        seeds: those that the values are of.
        tuned: whether settings were chosen by these runs, which then stand in no other table.
        picked: the choice of a setting, by method, as the definition of the sweep has it; empty where none was made.
        suffix: the end of a file's name.
        sweep: the runs.
    """

    group: Group
    told_by: str
    metrics: list[str]
    methods: list[Method]
    settings: list[str]
    runs: dict[tuple[str, ...], tuple[int, int, int]]
    unmeasured: dict[tuple[str, ...], int]
    finals: pd.DataFrame
    floors: dict[str, float]
    seeds: list[int]
    tuned: bool
    picked: dict[Method, dict[str, Any]]
    looks: dict[str, Style]
    suffix: str
    results: Results

    @property
    def title(self) -> str:
        """What the runs share."""
        shown = self.results.shown
        shared = [shown(self.group.model), f"{self.usual_loss} loss", *filter(None, [self.told_by])]
        return f"{shown(self.group.dataset)}  ·  {', '.join(shared)}"

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
        short = {label: self.results.shown(label).partition(" [")[0] for label in self.settings}
        return (
            short if len(set(short.values())) == len(short) else {label: self.results.shown(label) for label in short}
        )

    def settings_of(self, method: Method) -> list[str]:
        """Return the settings of a method with which a run ended, in the plan's order."""
        return [setting for setting in self.settings if sum(self.counts(method, setting)[:2])]

    def counts(self, method: Method, setting: str) -> tuple[int, int, int]:
        """Return how many runs finished, how many diverged, and how many did not end."""
        return self.runs.get((*method, setting), (0, 0, 0))

    def failures(self, method: Method, setting: str, metric: str) -> tuple[int, int]:
        """Return how many runs diverged, and how many finished without a finite value of ``metric``."""
        return self.counts(method, setting)[1], self.unmeasured.get((*method, setting, metric), 0)

    def is_picked(self, method: Method, setting: str) -> bool:
        """Return whether this is the setting that was chosen for the method."""
        return method in self.picked and self.picked[method]["setting"] in (setting, setting.partition(" [")[0])

    @cached_property
    def _values(self) -> dict[tuple[str, ...], tuple[float, float]]:
        keys = self.finals[["constraint", "loss", "setting", "metric"]].itertuples(index=False, name=None)
        values = self.finals[["mean", "ci95"]].itertuples(index=False, name=None)
        return dict(zip(keys, values, strict=True))

    def value(self, method: Method, setting: str, metric: str) -> tuple[float, float]:
        """Return mean and ci95 over the seeds that finished, NaN where there is none."""
        return self._values.get((*method, setting, metric), (float("nan"), float("nan")))


def settings_of(results: Results) -> list[Settings]:
    """Return the groups of a sweep in which methods were tried with several settings, in the order of its plan.

    Where settings were chosen by runs these are compared, at every setting; the runs that the choice led to, each
    method's with one setting, say nothing of how much depends on it.
    """
    parts = [(part, part is results.tuning) for part in (results.tuning, results) if part is not None]
    looks = styles([label for part, _ in parts for label in part.runs["constraint"]])
    found = [one for part, tuned in parts for one in _of_part(part, tuned, looks)]
    return [one for one in found if one.metrics]


def _of_part(results: Results, tuned: bool, looks: dict[str, Style]) -> Iterator[Settings]:
    training = {name: training_of(run) for name, run in results.definitions.items()}
    runs = results.runs.assign(training=results.runs["configuration"].map(training))
    tried = runs.groupby([*Group._fields, *Method._fields], sort=False)["setting"].transform("nunique")
    runs = runs[tried > 1]
    last = results.labelled(results.outcomes[results.outcomes["which"] == "last"], ["status"])
    real, quality = floors(results), quality_metrics(results)
    groups = {Group(*map(str, key)): rows for key, rows in runs.groupby(list(Group._fields), sort=False)}
    named = zip(telling(list(groups)), suffixes(list(groups), results.shown, ["tuning"] if tuned else []), strict=True)
    for (group, rows), (told_by, suffix) in zip(groups.items(), named, strict=True):
        measured = last[last["run"].isin(rows.index)]
        there = set(measured["metric"])
        metrics = _shown([name for name in quality if name in there], [choice["metric"] for choice in results.chosen])
        final = measured[(measured["status"] == "finished") & measured["metric"].isin(metrics)]
        final = final.join(rows[[*Method._fields, "setting"]], on="run")
        floor = real[(real["task"] == group.task) & (real["dataset"] == group.dataset)]
        place = {name: index for index, name in enumerate(ordered(rows["constraint"]))}
        methods = list(dict.fromkeys(Method(*key) for key in rows[list(Method._fields)].itertuples(index=False)))
        methods.sort(key=lambda method: place[method.constraint])
        yield Settings(
            group,
            told_by,
            metrics,
            methods,
            list(dict.fromkeys(rows["setting"])),
            _ends(rows),
            _unmeasured(final),
            aggregate(final, [*Method._fields, "setting", "metric"]),
            dict(zip(floor["metric"], floor["mean"], strict=True)),
            sorted(set(rows["seed"])),
            tuned,
            {method: picked for method in methods if (picked := _choice(results.chosen, group, method))}
            if tuned
            else {},
            looks,
            suffix,
            results,
        )


def _ends(rows: pd.DataFrame) -> dict[tuple[str, ...], tuple[int, int, int]]:
    found = {}
    for key, group in rows.groupby([*Method._fields, "setting"], sort=False)["status"]:
        finished, diverged = int((group == "finished").sum()), int((group == "diverged").sum())
        found[tuple(map(str, key))] = (finished, diverged, len(group) - finished - diverged)
    return found


def _unmeasured(final: pd.DataFrame) -> dict[tuple[str, ...], int]:
    none = final[~np.isfinite(final["value"])].groupby([*Method._fields, "setting", "metric"], sort=False).size()
    return {tuple(map(str, key)): int(number) for key, number in none.items()}


def _shown(quality: list[str], chosen_by: list[str]) -> list[str]:
    """Return what is compared: one metric, and one whose good direction is the other one, of the same protocol if any.

    SN-GAN compares settings by FID and by Inception Score (arXiv:1802.05957, Figures 1 and 2).
    """
    judging = [name for name in quality if better(name)]
    first = next((name for name in [*chosen_by, *judging] if name in judging), None)
    if first is None:
        return []
    others = [name for name in judging if better(name) != better(first)]
    protocol = first.removeprefix(base(first))
    return [first, *[*[name for name in others if name.endswith(protocol)], *others][:1]]


def _choice(chosen: list[dict[str, Any]], group: Group, method: Method) -> dict[str, Any] | None:
    return next((choice for choice in chosen if fits(choice, {**group._asdict(), **method._asdict()})), None)
