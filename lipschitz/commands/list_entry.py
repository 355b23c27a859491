"""``lipschitz list NAME``: print what one method or other thing does, its fields, an example and its paper."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.errors import InputError, nearest
from lipschitz.extensions.origin import origin_of
from lipschitz.extensions.point import ExtensionPoint

EXAMPLES = {
    "tasks": "task: {}",
    "datasets": "datasets: [{}]",
    "models": "models: [{}]",
    "constraints": "constraints: [none, {}]",
    "losses": "losses: [{}]",
    "augmentations": "training: {{augment: [{}]}}",
    "optimisers": "settings: [{{optimiser: {}}}]",
    "protocols": "evaluation: {{protocols: [{}]}}",
    "metrics": "evaluation: {{metrics: [{}]}}",
    "engines": "lipschitz sweep FILE --engine {}",
    "observers": "lipschitz sweep FILE --observer {}",
}
"""How a sweep file or the command line names one, by the plural of its kind."""
REQUIRED: dict[str, Any] = {"file": "faces.npz", "folder": "faces", "size": 32}
"""Values of required fields in an example."""
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


def show_entry(name: str, points: Sequence[ExtensionPoint[Any]], kinds: Iterable[str], console: Console) -> None:
    """Print all that is called ``name`` at one of the extension points; ``kinds`` are further names that are allowed.

    Raises:
        InputError: nothing is called so.
    """
    found = [(point, point[name]) for point in points if name in point]
    if not found:
        known = [*kinds, *(one for point in points for one in point)]
        raise InputError(f"nothing to list is called '{name}'; {nearest(name, known, 'lipschitz list')}")
    for point, kind in found:
        console.print(f"{name} ({point.noun})", style="bold")
        console.print(inspect.cleandoc(kind.__doc__ or "").replace("``", "`") + "\n")
        if issubclass(kind, Constraint):
            backward = "yes" if kind.double_backward else "no"
            console.print(f"promise: {kind.promise}; second backward: {backward}; authors' start: {start_of(kind)}")
        if source := source_of(kind):
            console.print(f"source: {source}")
        schema = kind.model_json_schema()
        example = _example(name, schema)
        # A sweep of `none` alone needs no baseline.
        entry = EXAMPLES[point.plural].format(example).replace("none, none", "none")
        console.print(f"example: {entry}\n", soft_wrap=True)
        for line in _fields(schema) if kind.model_fields else []:
            console.print(line)


def start_of(kind: type[Constraint]) -> str:
    """Return the authors' start, and that of residual networks where it is another."""
    of_residual = f", residual: {kind.start_of_residual}" if kind.start_of_residual else ""
    return f"{kind.start or '-'}{of_residual}"


def source_of(kind: type[Config]) -> str:
    """Return the paper and, for a class from outside the package, its file or package."""
    origin = origin_of(kind)
    return kind.source + (f" ({', '.join(origin.facts().values())})" if origin else "")


def _fields(schema: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield of each field its default and what is allowed, and then what it means."""
    for name, field in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _yaml(field.get("default"))
        yield f"{name}: {default}   (allowed: {_allowed(field)})"
        yield Padding(" ".join(field.get("description", "").replace("``", "`").split()), (0, 0, 1, 4))


def _example(name: str, schema: dict[str, Any]) -> str:
    """Return a short entry: with the required fields, or else with the first one at its default."""
    fields = {key: REQUIRED.get(key, "...") for key in schema.get("required", ())}
    if not fields:
        fields = {key: field.get("default") for key, field in list(schema.get("properties", {}).items())[:1]}
    return f"{{{name}: {_yaml(fields)}}}" if fields else name


def _yaml(value: Any) -> str:
    """Return a JSON value as YAML in one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_yaml, value)) + "]"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _allowed(schema: dict[str, Any]) -> str:
    """Return in words what values a JSON Schema allows."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_allowed, schema["anyOf"])))
    if "enum" in schema:
        return ", ".join(map(_yaml, schema["enum"]))
    if "const" in schema:
        return _yaml(schema["const"])
    bounds = " and ".join(f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if key in schema)
    kind = {"array": "list", "object": "mapping", "string": "text", "boolean": "true, false"}
    name = str(schema.get("type", "mapping"))
    return f"{kind.get(name, name)} {bounds}".strip()
