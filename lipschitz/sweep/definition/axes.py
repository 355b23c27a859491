"""The axes of a sweep file, as pydantic checks them and editors complete them."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, Strict

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.none import NoConstraint
from lipschitz.extensions.entry import unique
from lipschitz.sweep.definition.entries import (
    ConstraintEntry,
    DatasetEntry,
    LossEntry,
    ModelEntry,
    SettingEntry,
    TaskEntry,
)
from lipschitz.sweep.definition.selection import Selection
from lipschitz.tasks.terms import Evaluation, Training

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_Axis = (Strict(False), Field(min_length=1), unique)


def _without_none(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Leave out ``none``, which is no other run than one that says nothing."""
    return tuple(one for one in constraints if not isinstance(one, NoConstraint))


class Axes(BaseModel):
    """Axes whose product is a set of runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=NAME)]
    """Name of the sweep; its results go to ``results/<name>`` by default."""
    task: TaskEntry
    """What is trained and judged."""
    datasets: Annotated[tuple[DatasetEntry, ...], *_Axis]
    """Data sets (``lipschitz list datasets``)."""
    models: Annotated[tuple[ModelEntry, ...], *_Axis] = ("auto",)
    """Networks (``lipschitz list models``); ``auto`` is mlp for points, dcgan for images, critic for transport."""
    constraints: Annotated[tuple[ConstraintEntry, ...], *_Axis]
    """Constraints on the discriminator (``lipschitz list constraints``); a list inside the list is a combination.

    ``path/to/file.py:ClassName`` names a class in a file, whose code is run.
    """
    generator_constraints: Annotated[ConstraintEntry, AfterValidator(_without_none)] = ()
    """Constraints on the generator, all of them together; those that add a penalty to a loss cannot be had there."""
    losses: Annotated[tuple[LossEntry, ...], *_Axis] | None = None
    """Losses (``lipschitz list losses``); by default hinge for generation, wasserstein for transport."""
    settings: Annotated[tuple[SettingEntry, ...], *_Axis] = Field(default=("C",), validate_default=True)
    """Optimiser hyperparameters: SN-GAN's A to F, or a record."""
    seeds: Annotated[tuple[NonNegativeInt, ...], *_Axis] = (0, 1, 2)
    """Training seeds; what is reported is the spread over them."""
    select: Selection | None = None
    """Run each method with the one of ``settings`` that did best on other seeds, instead of with all of them."""
    training: Training
    """The budget, the same for every run of the product."""
    evaluation: Evaluation = Evaluation()
    """When and on how much a run is measured."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, by which editors complete and check it."""
    schema = Axes.model_json_schema()
    for key, field in Axes.model_fields.items():
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
