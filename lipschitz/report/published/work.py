"""Read published numbers, and match a sweep's runs to the published methods by their resolved configuration.

A published work is a ``.csv`` of its numbers and a ``.json`` of the same name with source, protocol and methods. Its
field "compares" is "critics", "images" or "classifiers". To add a work on one of the last two, add its two files:
nothing else lists them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.reading import comparisons

TRUE = "optimal potential"
"""Stands for a method in the rows of the published true values."""
_FOLDER = Path(__file__).parent
_CLASSIFICATION_DEFAULTS: dict[str, float | None] = {"task.train_size": None, "task.validation": 0.1}
"""Fields of the task that runs leave out at their default, and published works may differ in."""
_CROSS_ENTROPY_DEFAULTS: dict[str, float | None] = {"loss.temperature": 1.0, "loss.offset": 0.0}
"""The same of that loss."""


@dataclass(frozen=True)
class PublishedMethod:
    """A method as it was published.

    Attributes:
        iterations: its published budget; 0 where it is not known.
        other_iterations: another budget that it may have had; the same number where there is no doubt.
        identity: by path in a resolved run, the value, or list of values, that makes a run one of this method. A list
            holds null where runs from before the field existed belong to the method, too.
        settings: by path, the published value, or ``{"one of": values}`` where several are equivalent. A run with
            another value is still of this method; the difference is stated.
        otherwise: by constraint, a difference from the published method that no setting of ours removes, in words.
        network: the published network, where a work has several.
        tried: by name, the optimisers that were tried, of which the best was published; empty where there was one.
    """

    name: str
    iterations: int
    other_iterations: int
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]
    otherwise: Mapping[str, str]
    network: str = ""
    tried: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_doubtful(self) -> bool:
        """Whether the published number of iterations is uncertain."""
        return self.other_iterations != self.iterations

    @property
    def budgets(self) -> tuple[int, int]:
        """The published budget, and the other one that it may have been."""
        return self.iterations, self.other_iterations

    @property
    def budget(self) -> str:
        """The published budget as text, with the other one where it is uncertain."""
        other = f" or {self.other_iterations}" if self.is_doubtful else ""
        return f"{self.iterations}{other}"

    def matches(self, flat: Mapping[str, Any]) -> bool:
        """Return whether a run, flattened by `flatten`, is of this method."""
        return all(flat.get(key) in _as_list(value) for key, value in self.identity.items())

    def differences(self, flat: Mapping[str, Any]) -> list[str]:
        """Return in words each setting of a run that is not the published one; a field that it lacks is skipped."""
        changed = [
            f"{_word(key)} {_as_text(flat[key])} for {_as_text(_equivalent(value)[-1])}"
            for key, value in self.settings.items()
            if key in flat and flat[key] not in _equivalent(value)
        ]
        changed += self._not_tried(flat)
        return changed + [text for name, text in self.otherwise.items() if flat.get("constraint.name") == name]

    def _not_tried(self, flat: Mapping[str, Any]) -> list[str]:
        """Return in words the optimiser of a run, where it is not one of those that were tried."""
        found = {key: flat.get(f"setting.{key}") for one in self.tried.values() for key in one}
        if not self.tried or found in self.tried.values():
            return []
        text = ", ".join(f"{key} {_as_text(value)}" for key, value in found.items())
        return [f"{text} for one of {', '.join(self.tried)}"]


class PublishedWork(NamedTuple):
    """A published comparison.

    Attributes:
        iterations: what a step is, and how certain the budgets of its methods are.
        values: method, metric, value, and ``printed``, the value as it was printed, with its spread where it has one.
            For critics also dim and width (the number of funnels), for images and classifiers dataset and network.
        spread: what the number after a ± is; empty where there is none.
        measured: by metric, the facts of its protocol, which a number of ours must share; null: must not be there.
        released: what the authors' released code does otherwise than the paper; empty where nothing is known.
        heads: of classifiers: by metric, in the order of columns, the head of its column.
        images: of classifiers: the number of test images.
    """

    source: str
    protocol: str
    iterations: str
    methods: tuple[PublishedMethod, ...]
    values: pd.DataFrame
    spread: str
    measured: Mapping[str, Mapping[str, Any]]
    released: str
    heads: Mapping[str, str]
    images: int

    def method_of(self, run: Mapping[str, Any]) -> PublishedMethod | None:
        """Return the method of a resolved run, whatever its label; None where the work has no such method."""
        flat = flatten(run)
        return next((method for method in self.methods if method.matches(flat)), None)


def works_on_images() -> tuple[str, ...]:
    """Return the names of the published works that compare GANs on images, by year, then by name."""
    return _works("images")


def works_on_classifiers() -> tuple[str, ...]:
    """Return the names of the published works that compare classifiers, by year, then by name."""
    return _works("classifiers")


@cache
def _works(compared: str) -> tuple[str, ...]:
    known = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _FOLDER.glob("*.json")}
    names = [name for name, work in known.items() if work["compares"] == compared]
    return tuple(sorted(names, key=lambda name: (known[name]["year"], name)))


@cache
def read_published_work(name: str = "korotin2022") -> PublishedWork:
    """Return a published work: ``<name>.json`` and ``<name>.csv`` beside this module."""
    work = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    values = pd.read_csv(_FOLDER / f"{name}.csv", dtype={"value": str, "spread": str})
    spread = values.pop("spread") if "spread" in values else pd.Series(pd.NA, values.index, dtype=str)
    printed = values["value"].where(spread.isna(), values["value"] + " ± " + spread)
    return PublishedWork(
        work["source"],
        work["protocol"],
        work["iterations"],
        tuple(_method(one, work, work.get("networks", {}).get(one.get("network"), {})) for one in work["methods"]),
        values.assign(printed=printed, value=values["value"].astype(float)),
        work.get("spread", ""),
        work.get("measured", {}),
        work.get("released", ""),
        work.get("heads", {}),
        work.get("images", 0),
    )


def _method(one: dict[str, Any], work: dict[str, Any], network: dict[str, Any]) -> PublishedMethod:
    """Return a method; the fields of its work and of its network hold for it, too."""
    return PublishedMethod(
        one["name"],
        one["iterations"],
        one.get("or", one["iterations"]),
        work["is"] | network.get("is", {}) | one["is"],
        work["has"] | network.get("has", {}) | one.get("has", {}),
        one.get("otherwise", {}),
        one.get("network", ""),
        network.get("tried", {}),
    )


def flatten(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved run by paths such as ``model.width`` and ``constraint.c``.

    A run with several constraints has no path that begins with ``constraint``. What a run stores as ``{name: fields}``
    is the name itself, and each field after it: ``setting.optimiser`` is ``sgd``, ``setting.optimiser.momentum`` 0.9.
    """
    constraints = run.get("constraints", [])
    parts = {**run, "constraint": constraints[0] if len(constraints) == 1 else {}}
    parts |= (
        _named(run, "task")
        | _named(run, "loss")
        | {"setting": {**run.get("setting", {}), **_named(run.get("setting", {}), "optimiser")}}
    )
    defaults = _CLASSIFICATION_DEFAULTS if parts.get("task") == "classification" else {}
    if parts.get("loss") == "cross_entropy":
        defaults = defaults | _CROSS_ENTROPY_DEFAULTS
    return defaults | comparisons.flatten(parts)


def _named(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the name that ``fields[key]`` has, and its own fields by path, where it is ``{name: fields}``."""
    value = fields.get(key)
    if not isinstance(value, Mapping) or len(value) != 1:
        return {}
    ((name, own),) = value.items()
    return {key: name, **{f"{key}.{field}": one for field, one in own.items()}}


def _word(path: str) -> str:
    """Return ``width`` of ``model.width``, and ``model`` of ``model.name``."""
    return path.removesuffix(".name").rpartition(".")[2]


def _equivalent(value: Any) -> list[Any]:
    """Return the equivalent values of a setting; the last one is shown."""
    return list(value["one of"]) if isinstance(value, dict) else [value]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
