"""Settings chosen by results: what a part of a sweep asks for by ``select``."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, Strict

from lipschitz.config import Config
from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import metric_of
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.terms import Evaluation, Training

Axis = Literal["dataset", "model", "constraint", "loss"]
AXES: tuple[Axis, ...] = ("dataset", "model", "constraint", "loss")
KEYS = ("from", "metric", "at", "per")


class Selection(Config):
    """Which of a part's settings are run: for each group of methods the one that other seeds did best with."""

    from_: Annotated[str | None, Field(alias="from")] = None
    """Folder of results to choose by, from the working folder; by default this sweep's own, once its earlier parts are
    finished."""
    metric: str
    """What is compared, such as fid/sngan: its mean over runs of the same budget and evaluation, on other seeds."""
    at: Literal["last", "best"] = "last"
    """The value at a run's last step, or at its best one."""
    per: Annotated[tuple[Axis, ...], Strict(False), Field(min_length=1)] = AXES
    """A setting is chosen for each combination of these; over the axes left out values are averaged."""


class Judged(NamedTuple):
    """A run that may be chosen by."""

    run: str
    labels: Mapping[str, str]
    seed: int
    terms: Mapping[str, Any]
    """Its budget and evaluation, as JSON: only equals are compared."""
    result: Mapping[str, Any] | None
    """None while it is not finished."""


class Choice(NamedTuple):
    """The setting that a group was given."""

    group: dict[str, str]
    """By axis."""
    setting: str
    metric: str
    at: str
    """The step of each run whose value was compared: last or best."""
    value: float
    """Mean of the metric; infinite, of whatever sign is worse, where a run diverged."""
    judged: tuple[Judged, ...]
    """All runs that were compared, of every setting: they tell nothing more of the one that was chosen."""

    def facts(self) -> dict[str, Any]:
        """Return the choice as JSON, which knows no infinity."""
        return {
            "group": self.group,
            "setting": self.setting,
            "metric": self.metric,
            "at": self.at,
            "value": self.value if math.isfinite(self.value) else None,
            "seeds": sorted({one.seed for one in self.judged}),
            "runs": [one.run for one in self.judged],
        }

    def described(self) -> str:
        """Return the choice in one line."""
        value = f"{self.metric} {self.value:.4g}" if math.isfinite(self.value) else "diverged, as with every setting"
        return f"chosen for {', '.join(self.group.values())}: setting {self.setting} ({value})"


class Unfinished(Exception):
    """There is nothing to choose by yet."""


def judged_here(runs: Iterable[Run], folder: SweepFolder) -> list[Judged]:
    """Return what is known of ``runs``, whose results lie in ``folder`` as far as they are there."""
    return [Judged(run.id, run.labels(), run.seed, _terms(run), folder.run(run.id).result()) for run in runs]


def judged_in(path: Path) -> list[Judged]:
    """Return what is known of the runs of another sweep.

    Raises:
        InputError: no sweep has its results there, or it is not finished.
    """
    folder = SweepFolder.open(path)
    runs = {run_id: folder.run(run_id) for run_id in folder.run_ids()}
    finished = {run_id: result for run_id, run in runs.items() if (result := run.result())}
    if len(finished) < len(runs):
        raise InputError(f"{path}: {len(finished)} of {len(runs)} runs are finished; there is nothing to choose by yet")
    read = [(run_id, runs[run_id].definition(), result) for run_id, result in finished.items()]
    return [
        Judged(run_id, there["labels"], there["seed"], _compared(there["run"]), result)
        for run_id, there, result in read
    ]


def choose(selection: Selection, runs: Sequence[Run], judged: Sequence[Judged]) -> tuple[list[Run], list[Choice]]:
    """Return those of ``runs`` that have the setting chosen for their group, and the choices.

    Raises:
        Unfinished: a run to choose by is not finished.
        InputError: for a group and setting there is no run to choose by, or settings were judged on different seeds.
    """
    own = {run.seed for run in runs}
    others = [one for one in judged if one.seed not in own]
    kept, choices = [], []
    for members in _groups(selection, runs).values():
        choice = _choice(selection, members, others)
        choices.append(choice)
        kept += [run for run in members if run.labels()["setting"] == choice.setting]
    return kept, choices


def _groups(selection: Selection, runs: Sequence[Run]) -> dict[tuple[str, ...], list[Run]]:
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_group(selection, run.labels()), []).append(run)
    return groups


def _group(selection: Selection, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels[axis] for axis in selection.per)


def _choice(selection: Selection, members: Sequence[Run], judged: Sequence[Judged]) -> Choice:
    """Choose for one group, whose runs with every setting are ``members``."""
    group, terms = _group(selection, members[0].labels()), _terms(members[0])
    alike = [one for one in judged if _group(selection, one.labels) == group and one.terms == terms]
    found: dict[str, list[Judged]] = {run.labels()["setting"]: [] for run in members}
    for one in alike:
        if one.labels["setting"] in found:
            found[one.labels["setting"]].append(one)
    places = {setting: {(*_places(one), one.seed) for one in runs} for setting, runs in found.items()}
    for setting, at in places.items():
        if not at:
            said = f"no run of {', '.join(group)} with setting {setting}"
            raise InputError(f"{said} to choose by, on other seeds than these and with this budget and evaluation")
        if at != next(iter(places.values())):
            raise InputError(
                f"{', '.join(group)}: setting {setting} was not judged on the seeds of {next(iter(places))}"
            )
    if any(one.result is None for runs in found.values() for one in runs):
        raise Unfinished
    better = metric_of(selection.metric, members[0].evaluation.metrics).better
    worst = -math.inf if better == "higher" else math.inf
    means = {
        setting: math.fsum(_value(selection, one.result or {}, worst) for one in runs) / len(runs)
        for setting, runs in found.items()
    }
    best = (max if better == "higher" else min)(means, key=lambda setting: means[setting])
    compared = tuple(one for runs in found.values() for one in runs)
    labels: dict[str, str] = dict(zip(selection.per, group, strict=True))
    return Choice(labels, best, selection.metric, selection.at, means[best], compared)


def _places(one: Judged) -> tuple[str, ...]:
    return tuple(one.labels[axis] for axis in AXES)


def _value(selection: Selection, result: Mapping[str, Any], worst: float) -> float:
    """Return the metric's value, or ``worst`` where a run diverged or could not be measured."""
    if result["status"] == "diverged":
        return worst
    values = (
        result["last"] if selection.at == "last" else (result["best"] or {"values": {selection.metric: None}})["values"]
    )
    if selection.metric not in values:
        raise InputError(f"{selection.metric} is not among what was measured; see evaluation")
    value = values[selection.metric]
    return float(value) if isinstance(value, int | float) else worst


def _terms(run: Run) -> dict[str, Any]:
    return _compared(
        {"training": run.training.model_dump(mode="json"), "evaluation": run.evaluation.model_dump(mode="json")}
    )


def _compared(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's budget and evaluation, without what equals its default: fields that older results do not know."""
    fields: dict[str, Any] = {}
    for part, kind in (("training", Training), ("evaluation", Evaluation)):
        # Not validated: a budget has no default.
        defaults = kind.model_construct().model_dump(mode="json")
        fields |= {key: value for key, value in resolved[part].items() if value != defaults.get(key)}
    fields.pop("select", None)
    return fields
