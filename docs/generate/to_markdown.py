"""Text, tables and JSON Schema as Markdown."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

_SPECIAL = re.compile(r"([\\*_\[\]#])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})
_BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def prose(text: str) -> str:
    """Return text of a docstring as Markdown: code stays code, arXiv numbers become links, all else is plain."""
    parts = re.split(r"(`+[^`]+`+)", text)
    for index in range(0, len(parts), 2):
        plain = _SPECIAL.sub(r"\\\1", parts[index]).translate(_ENTITIES)
        parts[index] = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", plain)
    for index in range(1, len(parts), 2):
        parts[index] = f"`{parts[index].strip('`')}`"
    return "".join(parts)


def line(text: str) -> str:
    """Return text of a docstring as Markdown in one line."""
    return prose(" ".join(text.split()))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells that are Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def code(value: Any) -> str:
    """Return a value as it is written in a sweep file, as inline code."""
    return f"`{value if isinstance(value, str) else flow(value)}`".replace("|", "\\|")


def flow(value: Any) -> str:
    """Return a JSON value as YAML in one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str() if re.fullmatch(r"[A-Za-z][\w/.-]*", value) and value not in ("true", "false", "null"):
            return value
    return json.dumps(value)


def fenced(text: str, language: str = "yaml") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def kind(schema: dict[str, Any]) -> str:
    """Return in words what values a JSON Schema allows."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "mapping"
    bounds = " and ".join(f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema)
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            return f"list of {kind(items)}" if items else f"list of {schema.get('minItems', '')} numbers"
        case "object":
            return "mapping"
        case "null":
            return "null"
        case name:
            said = json.dumps(name).strip('"') if name else "any"
            return f"{said} {bounds}".strip()


def fields(properties: dict[str, Any], required: Sequence[str] = (), examples: dict[str, str] | None = None) -> str:
    """Return the table of a record's fields; with ``examples`` by name, a column for them."""
    columns = ["Field", "Type", "Default", "Meaning", *(["Example"] if examples is not None else [])]
    rows = []
    for name, schema in properties.items():
        default = "required" if name in required else code(schema.get("default"))
        row = [code(name), kind(schema).replace("|", "\\|"), default, line(schema.get("description", ""))]
        rows.append([*row, code(examples[name])] if examples is not None else row)
    return table(columns, rows)
