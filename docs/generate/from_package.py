"""What the generated pages show, read from the package. Every import from `lipschitz` that the docs need is here."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from lipschitz.commands.list import LISTINGS
from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal, constrain
from lipschitz.models.mlp import MLP
from lipschitz.sweep.definition.axes import json_schema
from lipschitz.tasks.settings import SETTINGS

HOOKS = {
    "wrap": "`wrap`: once, before the optimiser is built",
    "update": "`update`: before each discriminator update",
    "track": "`track`: after the forward pass of the discriminator's loss",
    "penalty": "`penalty`: a term of the discriminator's loss",
    "project": "`project`: after each discriminator update",
}
"""What each hook of a constraint is called on the pages."""


class Method(NamedTuple):
    """What a method's page shows."""

    name: str
    summary: str
    """First line of the docstring."""
    details: str
    """The rest of it: formula, and differences between paper and code."""
    promise: str
    double_backward: bool
    uncapturable: str
    source: str
    hooks: tuple[str, ...]
    fields: dict[str, Any]
    """JSON Schema of each hyperparameter."""
    entry: dict[str, Any]
    """Every hyperparameter at its default, as JSON values."""
    dataset: str
    """A data set for the example: points, or images where the method is not defined for points."""
    code: str
    """Content of the file."""


def methods() -> Iterator[Method]:
    """Yield the package's own methods in order of their names."""
    for name, kind in CONSTRAINTS.items():
        if kind.__module__.startswith("lipschitz."):
            yield Method(
                name,
                kind.summary(),
                _details(kind),
                kind.promise,
                kind.double_backward,
                kind.uncapturable,
                kind.source,
                tuple(text for hook, text in HOOKS.items() if getattr(kind, hook) is not getattr(Constraint, hook)),
                kind.model_json_schema()["properties"] if kind.model_fields else {},
                kind().model_dump(mode="json"),
                _dataset(kind()),
                inspect.getsource(inspect.getmodule(kind) or kind),
            )


def listings() -> dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Return columns and rows of what ``lipschitz list`` prints, by kind."""
    return {kind: (listing.columns, [tuple(row) for row in listing.rows()]) for kind, listing in LISTINGS.items()}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of sweep files."""
    return json_schema()


def settings() -> dict[str, dict[str, Any]]:
    """Return the fields of SN-GAN's settings A to F."""
    return {name: setting.model_dump(mode="json") for name, setting in SETTINGS.items()}


def _dataset(constraint: Constraint) -> str:
    try:
        constrain(MLP(width=2).build_discriminator((2,)), [constraint], (2,))
    except Refusal:
        return "digits"
    return "eight_gaussians"


def _details(kind: type[Constraint]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[2].strip()
