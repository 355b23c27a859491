"""A published work's numbers, and which of a sweep's configurations stand for its methods: by what they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.nested import leaves

KOROTIN2022 = "korotin2022"
TRUE = "optimal potential"
"""In the place of a method: what is true, as published."""


@dataclass(frozen=True)
class Method:
    """A method as it was published.

    Attributes:
        iterations: its published budget.
        other_iterations: what its budget may have been instead; the same where there is no doubt.
        identity: by path in a resolved run, the value (or the values) that a run of this method has.
        settings: by path, what it was run with; another value makes another run of the same method.
        otherwise: by constraint, what no setting of it makes as it was published.
    """

    name: str
    iterations: int
    other_iterations: int
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]
    otherwise: Mapping[str, str]

    @property
    def is_doubtful(self) -> bool:
        """Whether it may have been run for another number of iterations."""
        return self.other_iterations != self.iterations

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
            f"{key.rpartition('.')[2]} {_plain(flat[key])} for {_plain(value)}"
            for key, value in self.settings.items()
            if key in flat and flat[key] != value
        ]
        return changed + [text for name, text in self.otherwise.items() if flat.get("constraint.name") == name]


class Work(NamedTuple):
    """A published comparison.

    ``iterations`` says how sure the budgets of its methods are. ``values`` have dim, width (the number of funnels),
    method, metric, value, and ``printed``, the value as it was.
    """

    source: str
    protocol: str
    iterations: str
    methods: tuple[Method, ...]
    values: pd.DataFrame

    def method_of(self, run: Mapping[str, Any]) -> Method | None:
        """Return the method that a resolved run is of, whatever its label; None where the work has none like it."""
        flat = flatten(run)
        return next((method for method in self.methods if method.is_(flat)), None)


@cache
def published(name: str = KOROTIN2022) -> Work:
    """Return a work of which the package has the numbers: ``<name>.json`` and ``<name>.csv`` beside this module."""
    folder = Path(__file__).parent
    said = json.loads((folder / f"{name}.json").read_text())
    methods = tuple(
        Method(
            one["name"],
            one["iterations"],
            one.get("or", one["iterations"]),
            said["is"] | one["is"],
            said["has"] | one["has"],
            one.get("otherwise", {}),
        )
        for one in said["methods"]
    )
    values = pd.read_csv(folder / f"{name}.csv", dtype={"value": str}).rename(columns={"value": "printed"})
    return Work(
        said["source"],
        said["protocol"],
        said["iterations"],
        methods,
        values.assign(value=values["printed"].astype(float)),
    )


def flatten(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved run by paths such as ``model.width`` and ``constraint.c``; several constraints have no path."""
    constraints = run.get("constraints", [])
    parts = {**run, "constraint": constraints[0] if len(constraints) == 1 else {}}
    return {".".join(path): value for path, value in leaves(parts)}


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
