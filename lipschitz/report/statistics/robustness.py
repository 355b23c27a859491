"""Robustness of each method to its setting: what it reached with every setting that it was trained with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lipschitz.report.reading.comparisons import Group, file_suffixes, training_differences, training_of
from lipschitz.report.reading.display_names import SettingLabel
from lipschitz.report.reading.metric_names import better, parse_metric
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.tuning import choice_applies
from lipschitz.report.statistics.intervals import MISSING_INTERVAL, Interval, aggregate
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import Style, ordered, styles


class Method(NamedTuple):
    """A constraint and a loss, which are tried with several settings."""

    constraint: str
    loss: str


@dataclass(frozen=True)
class Settings:
    """What the methods of one group reached with each of their settings.

    Attributes:
        training: in words, how the training differs from that of other groups of this data set and model; may be empty.
        metrics: one or two: the metric that settings were chosen by, or else the first metric of quality; then the
            first whose good direction is the other one.
        methods: every method that was tried with several settings: constraints in the fixed order, losses as planned.
        settings: by label, its parts, in the plan's order.
        runs: by (constraint, loss, setting), how many runs finished, how many diverged, and how many did not end.
        unmeasured: by (constraint, loss, setting, metric), how many runs finished without a finite value after the last
            step; only if there are any.
        finals: after the last step, over the seeds that finished: constraint, loss, setting, metric, and what
            `aggregate` returns.
        floors: by metric, its value for real data, or for an optimal potential.
        seeds: the seeds of the runs.
        tuned: whether settings were chosen by these runs, which no other table then includes.
        picked: by method, the choice of its setting as the definition of the sweep has it; empty where none was made.
        looks: by constraint, its style in figures.
        suffix: the end of a file's name.
    """

    group: Group
    training: str
    metrics: list[str]
    methods: list[Method]
    settings: dict[str, SettingLabel]
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
        shared = [shown(self.group.model), f"{self.usual_loss} loss", *filter(None, [self.training])]
        return f"{shown(self.group.dataset)}  ·  {', '.join(shared)}"

    @cached_property
    def usual_loss(self) -> str:
        """The loss of most methods: titles name it, and only other losses are named next to a method."""
        return Counter(method.loss for method in self.methods).most_common(1)[0][0]

    @property
    def has_other_losses(self) -> bool:
        """Whether a method has another loss than the usual one."""
        return len({method.loss for method in self.methods}) > 1

    def name(self, method: Method) -> str:
        """Return the display name of a method: with its loss if that is not the usual one."""
        return method.constraint if method.loss == self.usual_loss else f"{method.constraint}, {method.loss}"

    @cached_property
    def setting_names(self) -> dict[str, str]:
        """By label, the display name of a setting: without precision and extra if the names are distinct without."""
        short = {label: self.results.shown(parts.name) for label, parts in self.settings.items()}
        if len(set(short.values())) == len(short):
            return short
        return {label: self.results.shown(label) for label in self.settings}

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
        """Return whether this setting was chosen for the method."""
        return method in self.picked and self.picked[method]["setting"] == self.settings[setting].recorded

    @cached_property
    def _intervals(self) -> dict[tuple[str, ...], Interval]:
        keys = self.finals[["constraint", "loss", "setting", "metric"]].itertuples(index=False, name=None)
        return dict(zip(keys, map(Interval.of_row, self.finals.to_dict("records")), strict=True))

    def interval(self, method: Method, setting: str, metric: str) -> Interval:
        """Return the mean over the seeds that finished, with its interval; `MISSING_INTERVAL` if there is none."""
        return self._intervals.get((*method, setting, metric), MISSING_INTERVAL)


def settings_of(summary: Summary) -> list[Settings]:
    """Return the groups of a sweep in which methods were tried with several settings, in the order of its plan.

    If settings were chosen by results, the runs that they were chosen by are compared, at every setting. The reported
    runs have one chosen setting for each method, which does not show how much the method depends on it.
    """
    parts = [(part, part is summary.tuning) for part in (summary.tuning, summary) if part is not None]
    looks = styles([label for part, _ in parts for label in part.results.runs["constraint"]])
    found = [settings for part, tuned in parts for settings in _settings_of(part, tuned, looks)]
    return [settings for settings in found if settings.metrics]


def _settings_of(summary: Summary, tuned: bool, looks: dict[str, Style]) -> Iterator[Settings]:
    results = summary.results
    training = {name: training_of(run) for name, run in results.definitions.items()}
    runs = results.runs.assign(training=results.runs["configuration"].map(training))
    tried = runs.groupby([*Group._fields, *Method._fields], sort=False)["setting"].transform("nunique")
    by_group = runs[tried > 1].groupby(list(Group._fields), sort=False)
    groups = {Group(*map(str, key)): rows for key, rows in by_group}
    last = results.labelled(results.outcomes[results.outcomes["which"] == "last"], ["status"])
    differences = training_differences(list(groups))
    suffixes = file_suffixes(list(groups), ["task", "model"], results.shown, ["tuning"] if tuned else [])
    for (group, rows), difference, suffix in zip(groups.items(), differences, suffixes, strict=True):
        measured = last[last["run"].isin(rows.index)]
        quality = [name for name in summary.quality_metrics if name in set(measured["metric"])]
        metrics = _metrics_to_compare(quality, [choice["metric"] for choice in results.chosen])
        final = measured[(measured["status"] == "finished") & measured["metric"].isin(metrics)]
        final = final.join(rows[[*Method._fields, "setting"]], on="run")
        methods = _methods(rows)
        yield Settings(
            group=group,
            training=difference,
            metrics=metrics,
            methods=methods,
            settings=_settings(rows),
            runs=_ends(rows),
            unmeasured=_unmeasured(final),
            finals=aggregate(final, [*Method._fields, "setting", "metric"]),
            floors=summary.floors_of(group.task, group.dataset),
            seeds=sorted(set(rows["seed"])),
            tuned=tuned,
            picked=_choices(results.chosen, group, methods) if tuned else {},
            looks=looks,
            suffix=suffix,
            results=results,
        )


def _methods(rows: pd.DataFrame) -> list[Method]:
    place = {name: index for index, name in enumerate(ordered(rows["constraint"]))}
    methods = dict.fromkeys(Method(*key) for key in rows[list(Method._fields)].itertuples(index=False))
    return sorted(methods, key=lambda method: place[method.constraint])


def _settings(rows: pd.DataFrame) -> dict[str, SettingLabel]:
    distinct = rows.drop_duplicates("setting")
    parts = distinct[["setting_name", "precision", "extra"]].itertuples(index=False, name=None)
    return {str(label): SettingLabel(*part) for label, part in zip(distinct["setting"], parts, strict=True)}


def _ends(rows: pd.DataFrame) -> dict[tuple[str, ...], tuple[int, int, int]]:
    found = {}
    for key, group in rows.groupby([*Method._fields, "setting"], sort=False)["status"]:
        finished, diverged = int((group == "finished").sum()), int((group == "diverged").sum())
        found[tuple(map(str, key))] = (finished, diverged, len(group) - finished - diverged)
    return found


def _unmeasured(final: pd.DataFrame) -> dict[tuple[str, ...], int]:
    none = final[~np.isfinite(final["value"])].groupby([*Method._fields, "setting", "metric"], sort=False).size()
    return {tuple(map(str, key)): int(number) for key, number in none.items()}


def _metrics_to_compare(quality: list[str], chosen_by: list[str]) -> list[str]:
    """Return one metric, and one whose good direction is the other one, of the same protocol if there is one.

    SN-GAN compares settings by FID and by Inception Score (arXiv:1802.05957, Figures 1 and 2).
    """
    judging = [name for name in quality if better(name)]
    first = next((name for name in [*chosen_by, *judging] if name in judging), None)
    if first is None:
        return []
    others = [name for name in judging if better(name) != better(first)]
    same_protocol = [name for name in others if name.endswith(parse_metric(first).qualifier)]
    return [first, *[*same_protocol, *others][:1]]


def _choices(chosen: list[dict[str, Any]], group: Group, methods: list[Method]) -> dict[Method, dict[str, Any]]:
    found = {}
    for method in methods:
        labels = {**group._asdict(), **method._asdict()}
        choice = next((choice for choice in chosen if choice_applies(choice, labels)), None)
        if choice is not None:
            found[method] = choice
    return found
