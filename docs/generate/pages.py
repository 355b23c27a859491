"""The generated pages: one for each method, their overview, every field of a sweep file, and what can be listed."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import examples
import from_package
from from_package import Method
from to_markdown import code, fenced, fields, flow, kind, line, prose, table

COST = Path("results/cost/cost.json")
"""What a discriminator step of each method takes, from the repository's root."""
PROMISES = {
    "certified": "certified: every wrapped layer is c-Lipschitz as an operator; others are refused",
    "heuristic": "heuristic: layers or gradients are pushed towards a bound, which is not guaranteed",
    "none": "none",
}


def method_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and page of each method; ``root`` is the repository's."""
    costs = json.loads((root / COST).read_text(encoding="utf-8"))
    for method in from_package.methods():
        yield method.name, method_page(method, costs)


def method_page(method: Method, costs: dict[str, Any]) -> str:
    """Return the page of one method."""
    facts = [
        ("Promise", PROMISES[method.promise]),
        ("Hooks", "; ".join(method.hooks) or "none"),
        ("Cost", f"{_backward(method)} {_measured(method.name, costs)}"),
        ("CUDA graphs", f"not captured: {line(method.uncapturable)}" if method.uncapturable else "no known obstacle"),
        ("Source", line(method.source)),
    ]
    parts = [
        f"# {prose(method.name)}\n",
        prose(method.summary) + "\n",
        "".join(f"- **{name}**: {fact}\n" for name, fact in facts),
        *([prose(method.details) + "\n"] if method.details else []),
        "## Hyperparameters\n",
        fields(method.fields) if method.fields else "None.\n",
        "## In a sweep file\n",
        *([f"Every hyperparameter is at its default; `{method.name}` alone means the same.\n"] if method.entry else []),
        fenced(method_sweep(method)),
        "## Code\n",
        f"`lipschitz/constraints/{method.name}.py`:\n",
        fenced(method.code, "python"),
    ]
    return "\n".join(parts)


def method_sweep(method: Method) -> str:
    """Return a sweep file that compares the method, every hyperparameter at its default, with no constraint."""
    entry = f"{method.name}: {flow(method.entry)}" if method.entry else method.name
    entries = ["none"] if method.name == "none" else ["none", entry]
    listed = "\n".join(f"  - {one}" for one in entries)
    return (
        f"name: {method.name}_example\ntask: generation\ndatasets: [{method.dataset}]\n"
        f"constraints:\n{listed}\ntraining: {{steps: 1000}}\n"
    )


def methods_table() -> str:
    """Return the table of all methods, each a link to its page."""
    rows = [
        (f"[{prose(one.name)}](methods/{one.name}.md)", one.promise, prose(one.summary), line(one.source))
        for one in from_package.methods()
    ]
    return table(("Method", "Promise", "What it does", "Source"), rows)


def sweep_reference() -> str:
    """Return every field of a sweep file: what it means, what is allowed, its default and an example."""
    schema = from_package.schema()
    definitions = schema["$defs"]
    parts = []
    for key, field in schema["properties"].items():
        parts += [f"## {key}\n", line(field.get("description", "")) + "\n", _facts(key, field, schema["required"])]
        parts.append(fenced(examples.TOP[key]))
        record = _record(field, definitions)
        if record:
            # The sweep file page describes it, for every axis.
            record["properties"].pop("label", None)
            parts += [
                f"Fields of {'an entry' if key == 'settings' else f'`{key}`'}:\n",
                fields(record["properties"], record.get("required", ()), examples.NESTED[key]),
            ]
        if key == "settings":
            parts += ["SN-GAN's settings:\n", _settings()]
        if key in ("datasets", "models"):
            parts += _entries(key, field["items"])
        if key == "constraints":
            parts.append("Each method's hyperparameters are on [its page](methods.md).\n")
        if key == "training":
            parts += _entries("augment", record["properties"]["augment"]["items"])
        if key == "evaluation":
            parts += _entries("protocols", record["properties"]["protocols"]["items"])
    return "\n".join(parts)


def listing_tables(kinds: Iterable[str]) -> str:
    """Return what ``lipschitz list`` prints of each of ``kinds``, as tables below headings."""
    listings = from_package.listings()
    parts = []
    for name in kinds:
        columns, rows = listings[name]
        parts += [f"## {name.capitalize()}\n", table(columns, (tuple(map(_cell, row)) for row in rows))]
    return "\n".join(parts)


def record_entries(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return, by the name of each record that entries of an axis may name, all of its fields with valid values."""
    found = {}
    for name, record in _named(schema).items():
        values = {field: one["default"] for field, one in record["properties"].items() if "default" in one}
        found[name] = {**examples.REQUIRED.get(name, {}), **values}
    return found


def _backward(method: Method) -> str:
    return "A second backward pass." if method.double_backward else "No second backward pass."


def _measured(name: str, costs: dict[str, Any]) -> str:
    if name == "none":
        return "The baseline of all ratios."
    if name not in costs["constraints"]:
        return "The time of a step was not measured on images ([table](../results/cost/table.md))."
    if (seconds := costs["constraints"][name].get("seconds_of_one_step")) is not None:
        return f"The time of a step was not measured: one takes {seconds:.0f} s ([table](../results/cost/table.md))."
    ratio, load = costs["constraints"][name]["ratio"], costs["workload"]
    return (
        f"A discriminator step takes {ratio['median']:.3f} times as long as without a constraint (95 % interval of the "
        f"median {ratio['low']:.3f} to {ratio['high']:.3f}, {ratio['n']} interleaved pairs): SN-GAN's CNN at width "
        f"{load['width']}, {load['size']}x{load['size']} images, batch {load['batch_size']}, one CPU thread "
        "([table](../results/cost/table.md))."
    )


def _facts(key: str, field: dict[str, Any], required: list[str]) -> str:
    if key in ("datasets", "models", "constraints", "generator_constraints", "settings"):
        allowed = "list of entries; an entry is a name, or a name with fields that differ from their defaults"
    else:
        allowed = kind(field)
    default = f"Default: {code(field['default'])}." if "default" in field else "No default."
    if key in required:
        default = "Required."
    elif key in ("datasets", "constraints", "training"):
        default = "Required, here or in every part."
    elif key == "parts":
        default = "Default: the file is one product."
    return f"Type: {allowed}. {default}\n"


def _record(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the record that a field holds, or may hold as an entry; empty where there is none."""
    allowed: list[dict[str, Any]] = [field, *field.get("anyOf", []), *field.get("items", {}).get("anyOf", [])]
    for one in allowed:
        if one.get("$ref") == "#/$defs/constraint":
            continue
        record: dict[str, Any] = definitions[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        if "$ref" in one or one.get("title") == "Setting":
            return record
    return {}


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of each record by the name that an entry gives it."""
    return next(one["properties"] for one in schema["anyOf"] if "properties" in one)


def _entries(key: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield a section for each record that an axis may name: what it is, and its fields with an example."""
    values = record_entries(schema)
    for name, record in _named(schema).items():
        yield f"### {key}: {prose(name)}\n"
        yield line(record["description"]) + "\n"
        if record["properties"]:
            yield fields(record["properties"], record.get("required", ()))
            yield f"Example: {code({name: values[name]})}\n"
        else:
            yield f"No fields. Example: {code(name)}\n"


def _settings() -> str:
    found = from_package.settings()
    columns = ("Setting", *next(iter(found.values())))
    return table(columns, ((code(name), *map(code, fields.values())) for name, fields in found.items()))


def _cell(text: str) -> str:
    return line(text) if text else "-"
