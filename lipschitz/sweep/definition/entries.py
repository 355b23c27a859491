"""How the axes of a sweep file are read: data sets, models, combinations of constraints, losses, settings."""

from typing import Annotated, Any, Literal

from pydantic import ValidationInfo

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.catalogue import CONSTRAINTS
from lipschitz.datasets.base import Dataset
from lipschitz.datasets.catalogue import DATASETS
from lipschitz.errors import nearest
from lipschitz.extensions.entry import (
    annotations,
    check_unique,
    config_of,
    entry_of,
    fields_of,
    fields_schema,
    folder_of,
    invalid,
    schema_of,
    shown,
)
from lipschitz.models.base import Model
from lipschitz.models.catalogue import MODELS
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.catalogue import TASKS
from lipschitz.tasks.losses.base import Loss
from lipschitz.tasks.losses.catalogue import LOSSES
from lipschitz.tasks.settings import SETTINGS, Setting


def _setting(entry: Any, info: ValidationInfo) -> Setting:
    if isinstance(entry, dict):
        return fields_of(Setting, "setting", entry, folder_of(info))
    if not isinstance(entry, str) or entry not in SETTINGS:
        raise invalid(f"unknown setting {entry!r}; {nearest(str(entry), SETTINGS)}, or a mapping of fields")
    return SETTINGS[entry]


def _model(entry: Any, info: ValidationInfo) -> Model | Literal["auto"]:
    return "auto" if entry == "auto" else config_of(MODELS, entry, folder_of(info))


def _constraints(entry: Any, info: ValidationInfo) -> tuple[Constraint, ...]:
    entries = entry if isinstance(entry, list) else [entry]
    if not entries:
        raise invalid("an empty combination; say none for no constraint")
    combination = check_unique(tuple(config_of(CONSTRAINTS, one, folder_of(info)) for one in entries))
    if len(combination) > 1 and any(one.name() == "none" for one in combination):
        raise invalid("none cannot be combined with a constraint")
    return combination


_CONSTRAINT = schema_of(CONSTRAINTS)
_COMBINATION = {"anyOf": [_CONSTRAINT, {"type": "array", "items": _CONSTRAINT, "minItems": 1}]}
_SETTING = {"anyOf": [{"enum": list(SETTINGS)}, fields_schema(Setting)]}

TaskEntry = Annotated[TaskKind, *entry_of(TASKS)]
DatasetEntry = Annotated[Dataset, *entry_of(DATASETS)]
ModelEntry = Annotated[Model | Literal["auto"], *annotations(_model, schema_of(MODELS, "auto"), shown)]
ConstraintEntry = Annotated[tuple[Constraint, ...], *annotations(_constraints, _COMBINATION, shown)]
LossEntry = Annotated[Loss, *entry_of(LOSSES)]
SettingEntry = Annotated[Setting, *annotations(_setting, _SETTING, shown)]
