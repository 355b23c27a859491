"""Sweep files: YAML that expands to runs, strictly validated; every error names file, line and key."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, Strict, ValidationError

from lipschitz.constraints.base import Constraint, Refusal, constrain
from lipschitz.datasets.base import Dataset
from lipschitz.errors import nearest
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model
from lipschitz.sweep.document import Document, Place
from lipschitz.sweep.entries import (
    ConstraintEntry,
    DatasetEntry,
    LossEntry,
    ModelEntry,
    SettingEntry,
    describe,
    unique,
)
from lipschitz.sweep.run import Evaluation, Run, TaskName, Training
from lipschitz.tasks.catalogue import TASKS, Unsuitable

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_Axis = (Strict(False), Field(min_length=1), unique)


class Product(BaseModel):
    """Axes whose product is a set of runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=NAME)]
    """Name of the sweep; its results go to ``results/<name>`` by default."""
    task: TaskName
    """What is trained and judged."""
    datasets: Annotated[tuple[DatasetEntry, ...], *_Axis]
    """Data sets (``lipschitz list datasets``)."""
    models: Annotated[tuple[ModelEntry, ...], *_Axis] = ("auto",)
    """Networks (``lipschitz list models``); ``auto`` is mlp for points, dcgan for images, critic for transport."""
    constraints: Annotated[tuple[ConstraintEntry, ...], *_Axis]
    """Constraints on the discriminator (``lipschitz list constraints``); a list inside the list is a combination.

    ``path/to/file.py:ClassName`` names a class in a file, whose code is run.
    """
    losses: Annotated[tuple[LossEntry, ...], *_Axis] = ("hinge",)
    """GAN losses (``lipschitz list losses``)."""
    settings: Annotated[tuple[SettingEntry, ...], *_Axis] = Field(default=("C",), validate_default=True)
    """Optimiser hyperparameters: SN-GAN's A to F, or a record."""
    seeds: Annotated[tuple[NonNegativeInt, ...], *_Axis] = (0, 1, 2)
    """Training seeds; what is reported is the spread over them."""
    training: Training
    """The budget, the same for every run of the product."""
    evaluation: Evaluation = Evaluation()
    """When and on how much a run is measured."""


@dataclass(frozen=True)
class Sweep:
    """A sweep file, expanded."""

    name: str
    task: TaskName
    runs: tuple[Run, ...]
    content: dict[str, Any]
    """The file's content, with the limit on steps applied."""

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``."""
        return {
            "name": self.name,
            "task": self.task,
            "sweep": self.content,
            "runs": [run.id for run in self.runs],
        }


def load_sweep(path: Path, limit_steps: int | None = None) -> Sweep:
    """Read and expand a sweep file; with ``limit_steps`` every run trains that many steps.

    Raises:
        InputError: the file cannot be read or is wrong; says where, what was found and what is allowed.
    """
    document = Document(path)
    runs: dict[str, Run] = {}
    products = list(_products(document))
    for values, part in products:
        if limit_steps is not None and isinstance(values.get("training"), dict):
            values["training"].pop("seconds", None)
            values["training"]["steps"] = limit_steps
        axes = _validated(document, values, part)
        for run in _expand(document, axes, part):
            runs.setdefault(run.id, run)
    content = document.values if limit_steps is None else {**document.values, "limit_steps": limit_steps}
    return Sweep(axes.name, axes.task, tuple(runs.values()), content)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, by which editors complete and check it."""
    schema = Product.model_json_schema()
    for key, field in Product.model_fields.items():
        # pydantic leaves it out beside a reference that has a default.
        schema["properties"][key].setdefault("description", field.description)
    axes = {key: value for key, value in schema["properties"].items() if key not in ("name", "task")}
    part = {"type": "object", "properties": axes, "additionalProperties": False}
    schema["properties"]["parts"] = {
        "type": "array",
        "minItems": 1,
        "items": part,
        "description": "Products that make up the sweep, each overriding keys of the file.",
    }
    # What every part brings need not stand at the top.
    schema["required"] = ["name", "task"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Sweep of lipschitz"}


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
    """Override keys of ``common``; the fields of training and evaluation one by one."""
    merged = {**common, **part}
    for key in ("training", "evaluation"):
        if isinstance(common.get(key), dict) and isinstance(part.get(key), dict):
            merged[key] = {**common[key], **part[key]}
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
    _check_selection(document, axes, part)
    return axes


def _check_selection(document: Document, axes: Product, part: Place) -> None:
    metric = axes.evaluation.select
    if metric is None:
        return
    place = _at(document, part, ("evaluation", "select"))
    for dataset in axes.datasets:
        allowed = TASKS[axes.task].metrics_of(dataset)
        if metric not in METRICS:
            raise document.error(place, f"unknown metric '{metric}'; {nearest(metric, allowed)}")
        if metric not in allowed:
            raise document.error(place, f"{metric} does not judge {dataset.label()}; {nearest(metric, allowed)}")


def _expand(document: Document, axes: Product, part: Place) -> Iterator[Run]:
    pairs = product(enumerate(axes.datasets), enumerate(axes.models))
    choices = product(pairs, axes.losses, axes.settings, axes.constraints, axes.seeds)
    for ((at_dataset, dataset), (at_model, entry)), loss, setting, constraints, seed in choices:
        model = TASKS[axes.task].auto(dataset.shape) if entry == "auto" else entry
        try:
            TASKS[axes.task].check(dataset, model, loss, setting)
        except Unsuitable as error:
            raise document.error(_at(document, part, (error.axis,)), str(error)) from None
        try:
            model.check(dataset.shape)
        except ValueError as error:
            place: Place = ("datasets", at_dataset) if entry == "auto" else ("models", at_model)
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
        constrain(model.build_discriminator(dataset.shape), constraints, dataset.shape)


def _at(document: Document, part: Place, place: Place) -> Place:
    """Return where a key of a product stands: in its part where that names it, else at the top of the file."""
    if not part:
        return place
    own: Any = document.values["parts"][part[1]]
    # Of training and evaluation, a part may give some fields and leave others to the top of the file.
    for key in place[:2]:
        if isinstance(own, dict):
            if key not in own:
                return place
            own = own[key]
    return (*part, *place)
