"""Entries of a sweep file: a name, or a name with hyperparameters, validated into a config by pydantic."""

import math
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    AfterValidator,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from lipschitz.config import Config
from lipschitz.errors import InputError, found, nearest
from lipschitz.extensions.point import FILE_PATTERN, ExtensionPoint

C = TypeVar("C", bound=Config)
T = TypeVar("T")

MOST_SEEDS = 10
"""Most seeds that an error writes out."""
FILE_SCHEMA = {"type": "string", "pattern": FILE_PATTERN, "description": "A class in a file, whose code is run."}


def error_in_words(error: ErrorDetails, allowed: Iterable[str] = ()) -> str:
    """Return a pydantic error in plain words; ``allowed`` are the keys of the mapping that is wrong."""
    key = error["loc"][-1] if error["loc"] else ""
    match error["type"]:
        case "missing":
            return f"missing key '{key}'"
        case "extra_forbidden":
            return f"unknown key {found(key)}; {nearest(str(key), allowed)}"
        case "invalid_entry":
            return error["msg"]
        case "value_error":
            # The message of our own validator; pydantic would add all fields.
            return str(error["ctx"]["error"])
        case "tuple_type":
            given = found(error["input"])
            if key == "seeds" and isinstance(error["input"], int):
                seeds = [*range(min(max(error["input"], 1), MOST_SEEDS))]
                return f"expected a list of seeds, such as {seeds}, found {given}"
            example = f", such as [{given.strip(chr(39))}]" if isinstance(error["input"], str | int | float) else ""
            return f"expected a list{example}, found {given}"
        case "int_type" | "int_from_float" if (number := _whole_number(error["input"])) is not None:
            return f"expected a whole number: write {number}, found {found(error['input'])}"
        case "too_short" if not error["input"]:
            return "expected at least one entry, got an empty list"
        case "model_type":
            return f"expected a mapping, such as {{{next(iter(allowed), 'key')}: ...}}, found {found(error['input'])}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{message}, found {found(error['input'])}"


def _whole_number(value: Any) -> int | None:
    """Return the integer that a decimal number or a text in digits means, such as 100000 for 1e5; else None."""
    try:
        number = float(value) if isinstance(value, float | str) else math.nan
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def entry_error(message: str) -> PydanticCustomError:
    """Return the pydantic error of an entry with this message."""
    return PydanticCustomError("invalid_entry", "{message}", {"message": message})


def folder_of(info: ValidationInfo) -> Path:
    """Return the folder of the sweep file, from which relative paths start."""
    return Path((info.context or {}).get("folder", Path()))


def config_of(point: ExtensionPoint[C], entry: Any, folder: Path = Path(), more: Iterable[str] = ()) -> C:
    """Return the config that ``entry`` names; a relative path to a file starts from ``folder``.

    ``more`` are further names that an error may propose.

    Raises:
        PydanticCustomError: the name is unknown, the class cannot be loaded, or a field is wrong.
    """
    name, fields = _name_and_fields(point.noun, entry)
    try:
        kind = point.called(name, folder, more)
    except InputError as error:
        raise entry_error(str(error)) from None
    return fields_of(kind, kind.name(), fields, folder)


def default_config(point: ExtensionPoint[C], name: str, option: str) -> C:
    """Return the config that an option of the command line names, with its default fields.

    Raises:
        InputError: the name is unknown, the class cannot be loaded or refuses its defaults, or a field has no default.
    """
    try:
        kind = point.called(name)
    except InputError as refused:
        raise InputError(f"{option}: {refused}") from None
    try:
        return kind()
    except ValidationError as failure:
        error = failure.errors()[0]
        hint = "; every field needs a default" if error["type"] == "missing" else ""
        raise InputError(f"{option} {name}: {error_in_words(error)}{hint}") from None


def fields_of(kind: type[C], name: str, fields: Any, folder: Path) -> C:
    """Return an instance of ``kind`` with these fields; relative paths in them start from ``folder``.

    Raises:
        PydanticCustomError: names the first wrong field.
    """
    try:
        return kind.model_validate(fields, context={"folder": folder})
    except ValidationError as failure:
        error = failure.errors()[0]
        # The input of a missing or misplaced value is the whole config; the path of the field says more.
        field = ".".join(map(str, (name, *error["loc"])))
        raise entry_error(f"{field}: {error_in_words(error, kind.model_fields)}") from None


def schema_of(point: ExtensionPoint[Any], *more: str, without: Container[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of an entry: a name (``more`` are further ones), a class in a file, or one with fields.

    Names in ``without`` are left out.
    """
    kinds = {name: kind for name, kind in point.items() if name not in without}
    names = [*more, *kinds]
    with_fields = {
        "type": "object",
        "properties": {name: fields_schema(kind) for name, kind in kinds.items()},
        "patternProperties": {FILE_PATTERN: {"type": "object"}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [*([{"enum": names}] if names else []), FILE_SCHEMA, with_fields]}


def fields_schema(kind: type[Config]) -> dict[str, Any]:
    """Return the JSON Schema of the fields of ``kind``."""
    return {**kind.model_json_schema(), "description": kind.summary()}


def entry_of(point: ExtensionPoint[Any], write: Callable[[Any], Any] | None = None) -> tuple[Any, ...]:
    """Return pydantic annotations of an entry of ``point``; ``write`` makes JSON of a config, by default its label."""

    def parse(entry: Any, info: ValidationInfo) -> Any:
        if isinstance(entry, point.base):
            return entry
        return config_of(point, entry, folder_of(info))

    return annotations(parse, lambda: schema_of(point), write or label_text)


class _Schema:
    """Annotation with a JSON Schema that is made when it is asked for.

    Entry points must not be loaded before all of lipschitz is imported: they import lipschitz themselves.
    """

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return self._make()


def annotations(
    parse: Callable[[Any, ValidationInfo], Any], schema: Callable[[], dict[str, Any]], write: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Return pydantic annotations of a value that ``parse`` reads and ``write`` writes as JSON.

    ``schema`` returns its JSON Schema.
    """
    return (PlainValidator(parse), PlainSerializer(write), _Schema(schema))


def label_text(value: Any) -> str:
    """Return the label of a config; of several, joined by ``+``."""
    if isinstance(value, tuple):
        return "+".join(map(label_text, value))
    return value.label() if isinstance(value, Config) else str(value)


def check_unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return ``values``.

    Raises:
        PydanticCustomError: a value is listed twice, or two different classes have the same name.
    """
    if len(set(values)) < len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise entry_error(f"{label_text(twice)} is listed twice")
    _refuse_namesakes(values)
    return values


def _name_and_fields(noun: str, entry: Any) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, fields),) = entry.items()
        return name, {} if fields is None else fields
    raise entry_error(
        f"{noun}: expected a name, or one name with its fields ({{name: {{field: value}}}}), found {found(entry)}"
    )


def _refuse_namesakes(values: tuple[Any, ...]) -> None:
    """Refuse two classes of one name from different files: a table could not tell them apart."""
    kinds: dict[str, type[Config]] = {}
    for value in values:
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Config) and kinds.setdefault(one.name(), type(one)) is not type(one):
                raise entry_error(f"two different classes are called {one.name()}; rename one")


unique = AfterValidator(check_unique)
"""Refuse a tuple that holds a value twice."""
