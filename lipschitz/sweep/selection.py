"""Settings chosen by results: what a part of a sweep asks for by ``select``."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, Strict

from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import metric_of
from lipschitz.records import Record
from lipschitz.sweep.run import Run
from lipschitz.sweep.store import SweepFolder

Axis = Literal["dataset", "model", "constraint", "loss"]
AXES: tuple[Axis, ...] = ("dataset", "model", "constraint", "loss")


class Selection(Record):
    """Which of a part's settings are run: for each group of methods the one that other seeds did best with."""

    from_: Annotated[str | None, Field(alias="from")] = None
    """Folder of results to choose by; by default this sweep's own, once its earlier parts are finished."""
    metric: str
    """What is compared, such as fid/sngan: its mean over the seeds that the part itself does not use."""
    at: Literal["last", "best"] = "last"
    """The value at a run's last step, or at its best one."""
    per: Annotated[tuple[Axis, ...], Strict(False), Field(min_length=1)] = AXES
    """A setting is chosen for each combination of these; over the axes left out values are averaged."""


class Choice(NamedTuple):
    """The setting that a group was given."""

    group: tuple[str, ...]
    setting: str
    value: float
    """Mean of the metric over ``seeds``; infinite, of whatever sign is worse, where a run diverged."""
    seeds: tuple[int, ...]

    def facts(self) -> dict[str, Any]:
        """Return the choice as JSON, which knows no infinity."""
        value = self.value if math.isfinite(self.value) else None
        return {"group": list(self.group), "setting": self.setting, "value": value, "seeds": list(self.seeds)}


class Judged(NamedTuple):
    """A run that may be chosen by."""

    labels: Mapping[str, str]
    seed: int
    result: Mapping[str, Any] | None
    """None while it is not finished."""


class Unfinished(Exception):
    """There is nothing to choose by yet."""


def judged_here(runs: Iterable[Run], folder: SweepFolder) -> list[Judged]:
    """Return what is known of ``runs``, whose results lie in ``folder`` as far as they are there."""
    return [Judged(run.labels(), run.seed, folder.run(run.id).result()) for run in runs]


def judged_in(path: Path) -> list[Judged]:
    """Return what is known of the runs of another sweep.

    Raises:
        InputError: no sweep has its results there, or it is not finished.
    """
    folder = SweepFolder.open(path)
    runs = [folder.run(run_id) for run_id in folder.run_ids()]
    judged = [
        Judged(run.definition()["labels"], run.definition()["seed"], result) for run in runs if (result := run.result())
    ]
    if len(judged) < len(runs):
        raise InputError(f"{path}: {len(judged)} of {len(runs)} runs are finished; there is nothing to choose by yet")
    return judged


def choose(selection: Selection, runs: Sequence[Run], judged: Sequence[Judged]) -> tuple[list[Run], list[Choice]]:
    """Return those of ``runs`` that have the setting chosen for their group, and the choices.

    Raises:
        Unfinished: a run to choose by is not finished.
        InputError: for a group and setting there is no run to choose by.
    """
    own = {run.seed for run in runs}
    others = [one for one in judged if one.seed not in own]
    kept, choices = [], []
    for group, members in _groups(selection, runs).items():
        settings = dict.fromkeys(run.labels()["setting"] for run in members)
        scores = {setting: _score(selection, group, setting, others) for setting in settings}
        pick = max if metric_of(selection.metric).better == "higher" else min
        best = pick(scores, key=lambda setting: scores[setting].value)
        choices.append(scores[best])
        kept += [run for run in members if run.labels()["setting"] == best]
    return kept, choices


def _groups(selection: Selection, runs: Sequence[Run]) -> dict[tuple[str, ...], list[Run]]:
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_group(selection, run.labels()), []).append(run)
    return groups


def _group(selection: Selection, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels[axis] for axis in selection.per)


def _score(selection: Selection, group: tuple[str, ...], setting: str, judged: Sequence[Judged]) -> Choice:
    found = [one for one in judged if _group(selection, one.labels) == group and one.labels["setting"] == setting]
    if not found:
        raise InputError(f"no run of {', '.join(group)} with setting {setting} to choose by, on other seeds than these")
    values = [_value(selection, one.result) for one in found if one.result is not None]
    if len(values) < len(found):
        raise Unfinished
    return Choice(group, setting, math.fsum(values) / len(values), tuple(sorted({one.seed for one in found})))


def _value(selection: Selection, result: Mapping[str, Any]) -> float:
    """Return the metric's value, infinite on the worse side where a run diverged or could not be measured."""
    worst = -math.inf if metric_of(selection.metric).better == "higher" else math.inf
    if result["status"] == "diverged":
        return worst
    values = result["last"] if selection.at == "last" else (result["best"] or {}).get("values", {})
    if selection.metric not in values:
        raise InputError(f"{selection.metric} is not among what was measured; see evaluation")
    value = values[selection.metric]
    return float(value) if isinstance(value, int | float) else worst
