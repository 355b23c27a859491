"""Sweep files: YAML that expands to runs, strictly validated; every error names file, line and key."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from lipschitz.constraints.base import Constraint, Refusal, constrain
from lipschitz.datasets.base import Dataset
from lipschitz.errors import InputError, nearest
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model
from lipschitz.sweep.document import Document, Place
from lipschitz.sweep.entries import describe
from lipschitz.sweep.product import Product
from lipschitz.sweep.run import Evaluation, Run, TaskName, Training
from lipschitz.sweep.selection import Choice, Selection, Unfinished, choose, judged_here, judged_in
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.catalogue import TASKS, Unsuitable

BUDGETS = {"steps", "seconds"}
MERGED = ("training", "evaluation")
"""Keys of which a part may override single fields."""


@dataclass(frozen=True)
class Sweep:
    """A sweep file, expanded."""

    name: str
    task: TaskName
    runs: tuple[Run, ...]
    content: dict[str, Any]
    """The file's content, with the limit on steps applied."""
    folder: Path
    """Where its results go."""
    choices: tuple[Choice, ...] = ()
    """Settings chosen by results that are there already."""
    waiting: int = 0
    """Runs that are not among ``runs`` yet: their settings are chosen once those are finished."""

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``."""
        return {
            "name": self.name,
            "task": self.task,
            "sweep": self.content,
            "runs": [run.id for run in self.runs],
            "chosen": [choice.facts() for choice in self.choices],
        }


def load_sweep(path: Path, limit_steps: int | None = None, out: Path | None = None) -> Sweep:
    """Read and expand a sweep file whose results go to ``out``, by default ``results/<name>``.

    With ``limit_steps`` every run trains that many steps, and the results go to ``results/<name>-limit-N``.

    Raises:
        InputError: the file cannot be read or is wrong; says where, what was found and what is allowed.
    """
    document = Document(path)
    content = document.values if limit_steps is None else {**document.values, "limit_steps": limit_steps}
    name = str(document.values.get("name"))
    folder = out or Path("results", name if limit_steps is None else f"{name}-limit-{limit_steps}")
    runs: dict[str, Run] = {}
    choices: list[Choice] = []
    waiting = 0
    for values, part in _products(document):
        if limit_steps is not None and isinstance(values.get("training"), dict):
            values["training"].pop("seconds", None)
            values["training"]["steps"] = limit_steps
        axes = _validated(document, values, part)
        expanded = list(_expand(document, axes, part))
        if axes.select is not None:
            try:
                expanded, chosen = _chosen(axes.select, expanded, runs.values(), folder)
                choices += chosen
            except Unfinished:
                waiting += len(expanded) // len(axes.settings)
                continue
            except InputError as error:
                raise document.error(_at(document, part, ("select",)), str(error)) from None
        for run in expanded:
            runs.setdefault(run.id, run)
    return Sweep(axes.name, axes.task, tuple(runs.values()), content, folder, tuple(choices), waiting)


def _chosen(
    selection: Selection, expanded: Sequence[Run], earlier: Iterable[Run], folder: Path
) -> tuple[list[Run], list[Choice]]:
    """Choose by the results of ``earlier`` parts, which lie in ``folder``, or by those of the sweep that is named."""
    if selection.from_ is None:
        return choose(selection, expanded, judged_here(earlier, SweepFolder(folder)))
    return choose(selection, expanded, judged_in(Path(selection.from_)))


def _products(document: Document) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield each product's values and the place of its part in the file, () without parts."""
    common = {key: value for key, value in document.values.items() if key != "parts"}
    if "parts" not in document.values:
        yield common, ()
        return
    parts = document.values["parts"]
    if not isinstance(parts, list) or not parts:
        raise document.error(("parts",), "parts is a list of products, each overriding keys of the file")
    for index, part in enumerate(parts):
        place = ("parts", index)
        if not isinstance(part, dict):
            raise document.error(place, f"a part is a mapping of axes, found {part!r}")
        for key in ("name", "task", "parts"):
            if key in part:
                raise document.error((*place, key), f"'{key}' stands at the top of the file, not in a part")
        yield _merged(common, part), place


def _merged(common: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Override keys of ``common``; the fields of those that are `MERGED` one by one."""
    merged = {**common, **part}
    for key in MERGED:
        if isinstance(common.get(key), dict) and isinstance(part.get(key), dict):
            merged[key] = {**common[key], **part[key]}
            # A part's budget in seconds takes the place of one in steps, and the other way round.
            if len(BUDGETS & part[key].keys()) == 1:
                merged[key] = {
                    name: value for name, value in merged[key].items() if name not in BUDGETS - part[key].keys()
                }
        elif isinstance(merged.get(key), dict):
            merged[key] = dict(merged[key])
    return merged


def _validated(document: Document, values: dict[str, Any], part: Place) -> Product:
    try:
        axes = Product.model_validate(values, context={"folder": document.path.parent})
    except ValidationError as failure:
        # A misspelt key is missing, too: what is there says more.
        error = sorted(failure.errors(), key=lambda error: error["type"] == "missing")[0]
        place = tuple(key for key in error["loc"] if isinstance(key, str | int))
        models: dict[str, type[BaseModel]] = {"training": Training, "evaluation": Evaluation}
        allowed = (
            {*models[str(place[0])].model_fields}
            if len(place) > 1 and place[0] in models
            else {*Product.model_fields, "parts"}
        )
        raise document.error(_at(document, part, place), describe(error, allowed)) from None
    _check_protocols(document, axes, part)
    _check_selection(document, axes, part)
    return axes


def _check_protocols(document: Document, axes: Product, part: Place) -> None:
    """Refuse protocols where there are no images, and images that nothing but a protocol could judge without one."""
    for index, dataset in enumerate(axes.datasets):
        if axes.evaluation.protocols and dataset.kind != "images":
            place = _at(document, part, ("evaluation", "protocols"))
            raise document.error(place, f"protocols judge images, and {dataset.label()} has {dataset.kind}")
        if not TASKS[axes.task].metrics_of(dataset, axes.evaluation.protocols):
            said = f"{dataset.label()} has no labels, so that no classifier of its own judges what is generated"
            allowed = " or ".join(f"{{protocols: [{name}]}}" for name in PROTOCOLS)
            place = _at(document, part, ("datasets", index))
            raise document.error(place, f"{said}; allowed: evaluation: {allowed}")


def _check_selection(document: Document, axes: Product, part: Place) -> None:
    if axes.select is not None:
        _check_metric(document, axes, axes.select.metric, _at(document, part, ("select", "metric")))
    if axes.evaluation.select is not None:
        _check_metric(document, axes, axes.evaluation.select, _at(document, part, ("evaluation", "select")))


def _check_metric(document: Document, axes: Product, metric: str, place: Place) -> None:
    for dataset in axes.datasets:
        allowed = TASKS[axes.task].metrics_of(dataset, axes.evaluation.protocols)
        if metric.partition("/")[0] not in METRICS:
            raise document.error(place, f"unknown metric '{metric}'; {nearest(metric, allowed)}")
        if metric not in allowed:
            raise document.error(place, f"{metric} does not judge {dataset.label()}; {nearest(metric, allowed)}")


def _expand(document: Document, axes: Product, part: Place) -> Iterator[Run]:
    pairs = product(enumerate(axes.datasets), enumerate(axes.models))
    losses = axes.losses or (TASKS[axes.task].loss,)
    choices = product(pairs, losses, axes.settings, axes.constraints, axes.seeds)
    for ((at_dataset, dataset), (at_model, entry)), loss, setting, constraints, seed in choices:
        model = TASKS[axes.task].auto(dataset.shape) if entry == "auto" else entry
        try:
            TASKS[axes.task].check(dataset, model, loss, setting)
        except Unsuitable as error:
            chosen = {"datasets": dataset, "models": entry, "losses": loss, "settings": setting}[error.axis]
            place: Place = (error.axis, getattr(axes, error.axis).index(chosen))
            raise document.error(_at(document, part, place), str(error)) from None
        try:
            model.check(dataset.shape)
        except ValueError as error:
            place = ("datasets", at_dataset) if entry == "auto" else ("models", at_model)
            raise document.error(_at(document, part, place), f"{dataset.label()}: {error}") from None
        try:
            _check_constraints(dataset, model, constraints)
        except Refusal as error:
            place = ("constraints", axes.constraints.index(constraints))
            raise document.error(_at(document, part, place), f"{dataset.label()}, {model.label()}: {error}") from None
        yield Run(axes.task, dataset, model, constraints, loss, setting, seed, axes.training, axes.evaluation)


@cache
def _check_constraints(dataset: Dataset, model: Model, constraints: tuple[Constraint, ...]) -> None:
    """Raise Refusal where the constraints cannot bound the model: tried on a network without values."""
    with torch.device("meta"):
        constrain(model.build_discriminator(dataset.shape, dataset.classes), constraints, dataset.shape)


def _at(document: Document, part: Place, place: Place) -> Place:
    """Return where a key of a product stands: in its part where that names it, else at the top of the file."""
    if not part:
        return place
    own: Any = document.values["parts"][part[1]]
    # Of some keys a part may give some fields and leave others to the top of the file.
    for key in place[: 2 if place and place[0] in MERGED else 1]:
        if isinstance(own, dict):
            if key not in own:
                return place
            own = own[key]
    return (*part, *place)
