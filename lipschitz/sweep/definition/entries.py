"""Entries of a sweep's axes: a name, or a name with hyperparameters, made into validated records."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, PlainSerializer, PlainValidator, ValidationError, ValidationInfo, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.catalogue import CATALOGUE as CONSTRAINTS
from lipschitz.constraints.catalogue import constraint_called
from lipschitz.datasets.base import Dataset
from lipschitz.datasets.catalogue import CATALOGUE as DATASETS
from lipschitz.errors import InputError, nearest
from lipschitz.features.protocols import PROTOCOLS, Protocol
from lipschitz.models.base import Model
from lipschitz.models.catalogue import CATALOGUE as MODELS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import SETTINGS, Setting

R = TypeVar("R", bound=Config)
T = TypeVar("T")


def describe(error: ErrorDetails, allowed: Iterable[str] = ()) -> str:
    """Say in plain words what pydantic found; ``allowed`` are the keys that an unknown one is compared with."""
    key = error["loc"][-1] if error["loc"] else ""
    match error["type"]:
        case "missing":
            return f"missing key '{key}'"
        case "extra_forbidden":
            return f"unknown key '{key}'; {nearest(str(key), allowed)}"
        case "invalid_entry":
            return error["msg"]
        case "value_error":
            # A record's own words say what was found; pydantic would add all of its fields.
            return str(error["ctx"]["error"])
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{message}, found {error['input']!r}"


def invalid(message: str) -> PydanticCustomError:
    """Return the error of an entry, with its whole message."""
    return PydanticCustomError("invalid_entry", "{message}", {"message": message})


def record_of(kind: str, catalogue: Mapping[str, type[R]], entry: Any) -> R:
    """Make the record that ``entry`` stands for; raises a pydantic error with one clear line."""
    name, fields = _name_and_fields(kind, entry)
    if name not in catalogue:
        raise invalid(f"unknown {kind} '{name}'; {nearest(name, catalogue)}")
    return fields_of(catalogue[name], name, fields)


def _name_and_fields(kind: str, entry: Any) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, fields),) = entry.items()
        return name, {} if fields is None else fields
    raise invalid(f"a {kind} is a name, or one name with its fields ({{name: {{field: value}}}}), found {entry!r}")


def fields_of(kind: type[R], name: str, fields: Any) -> R:
    """Validate the fields of one record; raises a pydantic error that names the first wrong one."""
    try:
        return kind.model_validate(fields)
    except ValidationError as failure:
        error = failure.errors()[0]
        # The input of a missing or misplaced value is the whole record; the field's path says more.
        field = ".".join(map(str, (name, *error["loc"])))
        raise invalid(f"{field}: {describe(error, kind.model_fields)}") from None


def _schema(catalogue: Mapping[str, type[Config]], *more: str) -> dict[str, Any]:
    names: dict[str, Any] = {"enum": [*more, *catalogue]}
    with_fields = {
        "type": "object",
        "properties": {name: _fields_schema(kind) for name, kind in catalogue.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [names, with_fields]}


def _fields_schema(kind: type[Config]) -> dict[str, Any]:
    return {**kind.model_json_schema(), "description": kind.summary()}


def _setting(entry: Any) -> Setting:
    if isinstance(entry, dict):
        return fields_of(Setting, "setting", entry)
    if not isinstance(entry, str) or entry not in SETTINGS:
        raise invalid(f"unknown setting {entry!r}; {nearest(str(entry), SETTINGS)}, or a record of fields")
    return SETTINGS[entry]


def _loss(entry: Any) -> str:
    if not isinstance(entry, str) or entry not in LOSSES:
        raise invalid(f"unknown loss {entry!r}; {nearest(str(entry), LOSSES)}")
    return entry


def _model(entry: Any) -> Model | Literal["auto"]:
    if entry == "auto":
        return "auto"
    if isinstance(entry, str) and entry not in MODELS:
        raise invalid(f"unknown model '{entry}'; {nearest(entry, ['auto', *MODELS])}")
    return record_of("model", MODELS, entry)


def _constraints(entry: Any, info: ValidationInfo) -> tuple[Constraint, ...]:
    entries = entry if isinstance(entry, list) else [entry]
    if not entries:
        raise invalid("an empty combination; say none for no constraint")
    folder = (info.context or {}).get("folder", Path())
    combination = _unique(tuple(_constraint(one, folder) for one in entries))
    if len(combination) > 1 and any(one.name() == "none" for one in combination):
        raise invalid("none cannot be combined with a constraint")
    return combination


def _constraint(entry: Any, folder: Path) -> Constraint:
    """Make a constraint; a relative path to a file of a method starts from ``folder``, the sweep file's own."""
    name, fields = _name_and_fields("constraint", entry)
    try:
        kind = constraint_called(name, folder)
    except InputError as error:
        raise invalid(str(error)) from None
    return fields_of(kind, kind.name(), fields)


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise invalid(f"{_shown(value)} stands twice")
    _refuse_namesakes(values)
    return values


def _refuse_namesakes(values: tuple[Any, ...]) -> None:
    """Classes in different files may bear one name; in a table nobody could tell them apart."""
    kinds: dict[str, type[Config]] = {}
    for value in values:
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Config) and kinds.setdefault(one.name(), type(one)) is not type(one):
                raise invalid(f"two different classes are called {one.name()}; rename one")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_shown, value))
    return value.label() if isinstance(value, Config) else str(value)


def _entry(parse: Callable[[Any], Any], schema: dict[str, Any]) -> Any:
    return (PlainValidator(parse), PlainSerializer(_shown), WithJsonSchema(schema))


_IN_FILE = {"type": "string", "pattern": r"\.py:[A-Za-z_]\w*$", "description": "A class in a file, whose code is run."}
_NAMED, _WITH_FIELDS = _schema(CONSTRAINTS)["anyOf"]
_WITH_FIELDS["patternProperties"] = {_IN_FILE["pattern"]: {"type": "object"}}
_CONSTRAINT_SCHEMA = {"anyOf": [_NAMED, _IN_FILE, _WITH_FIELDS]}
DatasetEntry = Annotated[Dataset, *_entry(lambda entry: record_of("dataset", DATASETS, entry), _schema(DATASETS))]
ModelEntry = Annotated[Model | Literal["auto"], *_entry(_model, _schema(MODELS, "auto"))]
ConstraintEntry = Annotated[
    tuple[Constraint, ...],
    *_entry(
        _constraints, {"anyOf": [_CONSTRAINT_SCHEMA, {"type": "array", "items": _CONSTRAINT_SCHEMA, "minItems": 1}]}
    ),
]
ProtocolEntry = Annotated[Protocol, *_entry(lambda entry: record_of("protocol", PROTOCOLS, entry), _schema(PROTOCOLS))]
LossEntry = Annotated[str, *_entry(_loss, {"enum": list(LOSSES)})]
SettingEntry = Annotated[Setting, *_entry(_setting, {"anyOf": [{"enum": list(SETTINGS)}, _fields_schema(Setting)]})]
unique = AfterValidator(_unique)
