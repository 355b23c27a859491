"""Choose settings by results: the key ``select`` of a sweep file. Each method is run with its best setting only."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, Strict

from lipschitz.config import Config
from lipschitz.errors import InputError, first_line
from lipschitz.metrics.catalogue import metric_of
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.file_shapes import check_definition
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.terms import Evaluation, Training

Axis = Literal["dataset", "model", "constraint", "loss"]
AXES: tuple[Axis, ...] = ("dataset", "model", "constraint", "loss")
KEYS = ("from", "metric", "at", "per")


class Selection(Config):
    """Which of the settings are run: for each method the one with the best mean on other seeds."""

    from_: Annotated[str | None, Field(alias="from")] = None
    """Folder of the results to choose by, relative to the working folder. By default this sweep's own folder: settings
    are chosen once its earlier parts are finished."""
    metric: str
    """Metric whose means are compared, such as fid/sngan. Means are over runs on other seeds, with the same budget and
    evaluation."""
    at: Literal["last", "best"] = "last"
    """Step of each run whose value is compared: its last, or its best."""
    per: Annotated[tuple[Axis, ...], Strict(False), Field(min_length=1)] = AXES
    """A setting is chosen for each combination of these axes. Over the other axes values are averaged."""


class ComparedRun(NamedTuple):
    """A run by whose result a setting may be chosen."""

    run: str
    labels: Mapping[str, str]
    seed: int
    terms: Mapping[str, Any]
    """Its budget and evaluation, as JSON. Only runs with the same terms are compared."""
    result: Mapping[str, Any] | None
    """None while it is not finished."""


class Choice(NamedTuple):
    """The setting that was chosen for a group of runs."""

    group: dict[str, str]
    """Labels of the group by axis."""
    setting: str
    metric: str
    at: str
    """Step of each run whose value was compared: last or best."""
    value: float
    """Mean of the metric; infinite, on the worse side, where a run diverged."""
    compared: tuple[ComparedRun, ...]
    """All runs that were compared, with every setting."""

    def facts(self) -> dict[str, Any]:
        """Return the choice as JSON, with null for an infinite value."""
        return {
            "group": self.group,
            "setting": self.setting,
            "metric": self.metric,
            "at": self.at,
            "value": self.value if math.isfinite(self.value) else None,
            "seeds": sorted({one.seed for one in self.compared}),
            "runs": [one.run for one in self.compared],
        }

    def described(self) -> str:
        """Return the choice in one line."""
        value = f"{self.metric} {self.value:.4g}" if math.isfinite(self.value) else "diverged, as with every setting"
        return f"chosen for {', '.join(self.group.values())}: setting {self.setting} ({value})"


class Unfinished(Exception):
    """The runs to choose by are not finished."""


def runs_in_folder(runs: Iterable[Run], folder: SweepFolder) -> list[ComparedRun]:
    """Return ``runs`` with the results that ``folder`` has of them so far."""
    return [ComparedRun(run.id, run.labels(), run.seed, _terms(run), folder.run(run.id).result()) for run in runs]


def runs_of_sweep(path: Path) -> list[ComparedRun]:
    """Return the runs of another sweep with their results.

    Raises:
        InputError: there are no results of a sweep in ``path``, or the sweep is not finished.
    """
    folder = SweepFolder.open(path)
    runs = {run_id: folder.run(run_id) for run_id in folder.run_ids()}
    finished = {run_id: result for run_id, run in runs.items() if (result := run.result())}
    if len(finished) < len(runs):
        raise InputError(
            f"{path}: {len(finished)} of {len(runs)} runs are finished; settings are chosen by finished sweeps"
        )
    try:
        defined = [(run_id, check_definition(runs[run_id].definition()), result) for run_id, result in finished.items()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the definition of a run cannot be read: {first_line(error)}") from None
    return [
        ComparedRun(run_id, definition["labels"], definition["seed"], _changed_terms(definition["run"]), result)
        for run_id, definition, result in defined
    ]


def choose(
    selection: Selection, runs: Sequence[Run], candidates: Sequence[ComparedRun]
) -> tuple[list[Run], list[Choice]]:
    """Return those of ``runs`` that have the setting chosen for their group, and the choices.

    Args:
        candidates: the runs to choose by; those on a seed of ``runs`` are ignored.

    Raises:
        Unfinished: a run to choose by is not finished.
        InputError: for a group and setting there is no run to choose by, or the settings ran on different seeds.
    """
    own = {run.seed for run in runs}
    others = [one for one in candidates if one.seed not in own]
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


def _choice(selection: Selection, members: Sequence[Run], candidates: Sequence[ComparedRun]) -> Choice:
    """Choose the setting of one group, whose runs with every setting are ``members``."""
    group, terms = _group(selection, members[0].labels()), _terms(members[0])
    alike = [one for one in candidates if _group(selection, one.labels) == group and one.terms == terms]
    found: dict[str, list[ComparedRun]] = {run.labels()["setting"]: [] for run in members}
    for one in alike:
        if one.labels["setting"] in found:
            found[one.labels["setting"]].append(one)
    places = {setting: {(*_places(one), one.seed) for one in runs} for setting, runs in found.items()}
    for setting, at in places.items():
        if not at:
            missing = f"no run of {', '.join(group)} with setting {setting}"
            raise InputError(f"{missing} to choose by, on other seeds and with the same budget and evaluation")
        if at != next(iter(places.values())):
            raise InputError(
                f"{', '.join(group)}: setting {setting} was not run on the seeds of setting {next(iter(places))}"
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


def _places(one: ComparedRun) -> tuple[str, ...]:
    return tuple(one.labels[axis] for axis in AXES)


def _value(selection: Selection, result: Mapping[str, Any], worst: float) -> float:
    """Return the metric's value; ``worst`` where a run diverged or the value is not finite."""
    if result["status"] == "diverged":
        return worst
    values = (
        result.get("last") or {}
        if selection.at == "last"
        else (result.get("best") or {"values": {selection.metric: None}})["values"]
    )
    if selection.metric not in values:
        raise InputError(f"{selection.metric} was not measured; see evaluation")
    value = values[selection.metric]
    return float(value) if isinstance(value, int | float) else worst


def _terms(run: Run) -> dict[str, Any]:
    return _changed_terms(
        {"training": run.training.model_dump(mode="json"), "evaluation": run.evaluation.model_dump(mode="json")}
    )


def _changed_terms(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's budget and evaluation, without fields at their default, which older results may lack."""
    fields: dict[str, Any] = {}
    for part, kind in (("training", Training), ("evaluation", Evaluation)):
        # Not validated: a budget has no default.
        defaults = kind.model_construct().model_dump(mode="json")
        fields |= {key: value for key, value in resolved[part].items() if value != defaults.get(key)}
    fields.pop("select", None)
    return fields
