"""The axes of a sweep file: how pydantic reads and checks each of them, and their JSON Schema."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationInfo

from lipschitz.config import Seed
from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.base import DATASETS, Dataset
from lipschitz.errors import found, nearest
from lipschitz.extensions.entry import (
    annotations,
    check_unique,
    config_of,
    entry_error,
    entry_of,
    fields_of,
    fields_schema,
    folder_of,
    label_text,
    schema_of,
    unique,
)
from lipschitz.models.base import MODELS, Model
from lipschitz.sweep.definition.entry_labels import add_to_schema
from lipschitz.sweep.definition.selection import Selection
from lipschitz.tasks.base import TASKS, TaskKind
from lipschitz.tasks.losses import LOSSES, Loss
from lipschitz.tasks.settings import SETTINGS, Setting
from lipschitz.tasks.terms import Evaluation, Training
from lipschitz.training.observers import OBSERVERS, Observer

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
WHOLE = ("name", "task", "logging")
"""Keys of the whole sweep, which a part does not have."""
_Axis = (Strict(False), Field(min_length=1), unique)


def _name(text: str) -> str:
    if re.fullmatch(NAME, text) is None:
        raise entry_error(
            f"expected letters (a-z, A-Z), digits and . _ - only, the first a letter or digit, found {found(text)}"
        )
    return text


def _setting(entry: Any, info: ValidationInfo) -> Setting:
    if isinstance(entry, dict):
        return fields_of(Setting, "setting", entry, folder_of(info))
    if not isinstance(entry, str) or entry not in SETTINGS:
        raise entry_error(f"unknown setting {found(entry)}; {nearest(str(entry), SETTINGS)}, or a mapping of fields")
    return SETTINGS[entry]


def _model(entry: Any, info: ValidationInfo) -> Model | Literal["auto"]:
    return "auto" if entry == "auto" else config_of(MODELS, entry, folder_of(info), ["auto"])


def _constraints(entry: Any, info: ValidationInfo) -> tuple[Constraint, ...]:
    entries = entry if isinstance(entry, list) else [entry]
    if not entries:
        raise entry_error("an empty combination; write none for no constraint")
    combination = check_unique(tuple(config_of(CONSTRAINTS, one, folder_of(info)) for one in entries))
    if len(combination) > 1 and any(one.name() == "none" for one in combination):
        raise entry_error("none cannot be combined with a constraint")
    return combination


def _without_none(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Leave out ``none``, so that a run that names it is the run that names nothing."""
    return tuple(one for one in constraints if not isinstance(one, NoConstraint))


def _combination_schema() -> dict[str, Any]:
    one = schema_of(CONSTRAINTS)
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _setting_schema() -> dict[str, Any]:
    return {"anyOf": [{"enum": list(SETTINGS)}, fields_schema(Setting)]}


TaskEntry = Annotated[TaskKind, *entry_of(TASKS)]
DatasetEntry = Annotated[Dataset, *entry_of(DATASETS)]
ModelEntry = Annotated[Model | Literal["auto"], *annotations(_model, lambda: schema_of(MODELS, "auto"), label_text)]
ConstraintEntry = Annotated[tuple[Constraint, ...], *annotations(_constraints, _combination_schema, label_text)]
ObserverEntry = Annotated[Observer, *entry_of(OBSERVERS)]
LossEntry = Annotated[Loss, *entry_of(LOSSES)]
SettingEntry = Annotated[Setting, *annotations(_setting, _setting_schema, label_text)]


class Axes(BaseModel):
    """Axes whose product is a set of runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(max_length=100, json_schema_extra={"pattern": NAME}), AfterValidator(_name)]
    """Name of the sweep. Its results go to ``results/<name>`` by default."""
    task: TaskEntry
    """What is trained and evaluated (``lipschitz list tasks``)."""
    datasets: Annotated[tuple[DatasetEntry, ...], *_Axis]
    """Data sets (``lipschitz list datasets``)."""
    models: Annotated[tuple[ModelEntry, ...], *_Axis] = ("auto",)
    """Networks (``lipschitz list models``). ``auto`` is mlp for points, dcgan for images, critic for
    transport, mlp_classifier for classification."""
    constraints: Annotated[tuple[ConstraintEntry, ...], *_Axis]
    """Constraints on the discriminator (``lipschitz list constraints``). A list inside the list is a combination.

    ``path/to/file.py:ClassName`` names a class in a file, whose code is run.
    """
    generator_constraints: Annotated[ConstraintEntry, AfterValidator(_without_none)] = ()
    """Constraints on the generator, all of them in every run. A constraint that adds a penalty to the discriminator's
    loss is not supported on a generator."""
    losses: Annotated[tuple[LossEntry, ...], *_Axis] | None = None
    """Losses (``lipschitz list losses``). By default hinge for generation, wasserstein for transport,
    cross_entropy for classification."""
    settings: Annotated[tuple[SettingEntry, ...], *_Axis] = Field(default=("C",), validate_default=True)
    """Optimiser hyperparameters: one of A to F (Miyato et al. 2018, Table 1), or a mapping of fields."""
    seeds: Annotated[tuple[Seed, ...], *_Axis] = (0, 1, 2)
    """Training seeds. The report gives the mean and its interval over them."""
    select: Selection | None = None
    """Run each method only with the best of ``settings``, chosen by its results on other seeds."""
    training: Training
    """Budget, batch sizes and precision, the same for every run of the product."""
    evaluation: Evaluation = Evaluation()
    """When a run is evaluated, on how many samples, and by which protocols."""
    logging: Annotated[tuple[ObserverEntry, ...], Strict(False), unique] = ()
    """Observers that write curves, σ and samples of every run beside its records while it trains, such as tensorboard
    or wandb (``lipschitz list observers``). No part of a run: its id stays."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, by which editors complete and check it."""
    schema = Axes.model_json_schema()
    for key, field in Axes.model_fields.items():
        # pydantic leaves the description out beside a reference that has a default.
        schema["properties"][key].setdefault("description", field.description)
    add_to_schema(schema["properties"])
    # Written once: a constraint alone, in a combination and on the generator has the same schema.
    schema["$defs"]["constraint"] = schema["properties"]["constraints"]["items"]["anyOf"][0]
    schema["properties"] = _with_references(schema["properties"], "constraint", schema["$defs"]["constraint"])
    axes = {key: {"$ref": f"#/properties/{key}"} for key in schema["properties"] if key not in WHOLE}
    part = {"type": "object", "properties": axes, "additionalProperties": False}
    schema["properties"]["parts"] = {
        "type": "array",
        "minItems": 1,
        "items": part,
        "description": "Products of axes that make up the sweep. Each overrides keys of the file.",
    }
    # A key that every part has need not be at the top.
    schema["required"] = ["name", "task"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Sweep of lipschitz"}


def _with_references(node: Any, name: str, definition: dict[str, Any]) -> Any:
    """Return the schema ``node`` with references to ``name`` in place of every copy of its ``definition``."""
    if node == definition:
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(node, dict):
        return {key: _with_references(value, name, definition) for key, value in node.items()}
    return [_with_references(one, name, definition) for one in node] if isinstance(node, list) else node
