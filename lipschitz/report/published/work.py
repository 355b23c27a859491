"""A published work's numbers, and which of a sweep's configurations stand for its methods: by what they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.reading import comparisons

KOROTIN2022 = "korotin2022"
TRUE = "optimal potential"
"""In the place of a method: what is true, as published."""


@dataclass(frozen=True)
class Method:
    """A method as it was published.

    Attributes:
        iterations: its published budget.
        other_iterations: what its budget may have been instead; the same where there is no doubt.
        identity: by path in a resolved run, the value (or the values) that a run of this method has; null is among
            them where a run of a folder from before that was a field is of it, too.
        settings: by path, what it was run with, or ``{"one of": values}`` that come to the same; another value makes
            another run of the same method.
        otherwise: by constraint, what no setting of it makes as it was published.
        network: the published network that it was run with, where a work has several.
        tried: by name, what the optimisers were that it was tried with, the best of which was published; empty where
            there was one.
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
        """Whether it may have been run for another number of iterations."""
        return self.other_iterations != self.iterations

    @property
    def budgets(self) -> tuple[int, int]:
        """The published budget, and what it may have been instead."""
        return self.iterations, self.other_iterations

    @property
    def budget(self) -> str:
        """The published budget, with the other one where there is doubt."""
        other = f" or {self.other_iterations}" if self.is_doubtful else ""
        return f"{self.iterations}{other}"

    def is_(self, flat: Mapping[str, Any]) -> bool:
        """Say whether a run, flattened by `flatten`, is of this method."""
        return all(flat.get(key) in _several(value) for key, value in self.identity.items())

    def differences(self, flat: Mapping[str, Any]) -> list[str]:
        """Return in words where a run of this method was run with something else; what it lacks is no matter."""
        changed = [
            f"{key.rpartition('.')[2]} {_plain(flat[key])} for {_plain(_same(value)[-1])}"
            for key, value in self.settings.items()
            if key in flat and flat[key] not in _same(value)
        ]
        changed += self._not_tried(flat)
        return changed + [text for name, text in self.otherwise.items() if flat.get("constraint.name") == name]

    def _not_tried(self, flat: Mapping[str, Any]) -> list[str]:
        """Return in words the optimiser of a run, where it is none of those that the method was tried with."""
        found = {key: flat.get(f"setting.{key}") for one in self.tried.values() for key in one}
        if not self.tried or found in self.tried.values():
            return []
        said = ", ".join(f"{key} {_plain(value)}" for key, value in found.items())
        return [f"{said} for one of {', '.join(self.tried)}"]


class PublishedWork(NamedTuple):
    """A published comparison.

    Attributes:
        iterations: how sure the budgets of its methods are.
        values: method, metric, value, and ``printed``, the value as it was, with its spread where it has one; of
            critics also dim and width (the number of funnels), of images dataset and network.
        spread: what is printed after a value's ±; empty where nothing is.
        measured: by metric, the facts of the protocol that it was measured by; what is null there, no number may have.
    """

    source: str
    protocol: str
    iterations: str
    methods: tuple[Method, ...]
    values: pd.DataFrame
    spread: str
    measured: Mapping[str, Mapping[str, Any]]

    def method_of(self, run: Mapping[str, Any]) -> Method | None:
        """Return the method that a resolved run is of, whatever its label; None where the work has none like it."""
        flat = flatten(run)
        return next((method for method in self.methods if method.is_(flat)), None)


@cache
def published(name: str = KOROTIN2022) -> PublishedWork:
    """Return a work of which the package has the numbers: ``<name>.json`` and ``<name>.csv`` beside this module."""
    folder = Path(__file__).parent
    said = json.loads((folder / f"{name}.json").read_text())
    values = pd.read_csv(folder / f"{name}.csv", dtype={"value": str, "spread": str})
    spread = values.pop("spread") if "spread" in values else pd.Series(pd.NA, values.index, dtype=str)
    printed = values["value"].where(spread.isna(), values["value"] + " ± " + spread)
    return PublishedWork(
        said["source"],
        said["protocol"],
        said["iterations"],
        tuple(_method(one, said, said.get("networks", {}).get(one.get("network"), {})) for one in said["methods"]),
        values.assign(printed=printed, value=values["value"].astype(float)),
        said.get("spread", ""),
        said.get("measured", {}),
    )


def _method(one: dict[str, Any], work: dict[str, Any], network: dict[str, Any]) -> Method:
    """Return a method: what is said of its work and of its network holds of it, too."""
    return Method(
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
    """Return a resolved run by paths such as ``model.width`` and ``constraint.c``; several constraints have no path."""
    constraints = run.get("constraints", [])
    parts = {**run, "constraint": constraints[0] if len(constraints) == 1 else {}}
    return comparisons.flatten(parts)


def _same(value: Any) -> list[Any]:
    """Return the values that come to the same, the one that stands for them last."""
    return list(value["one of"]) if isinstance(value, dict) else [value]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
