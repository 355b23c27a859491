"""Every number of a sweep file has a least and a greatest value."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lipschitz.config import Config
from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.datasets.base import DATASETS
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.models.base import MODELS
from lipschitz.sweep.definition.axes import Axes
from lipschitz.tasks.base import TASKS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.optimisers import OPTIMISERS
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Evaluation, Training

POINTS = (CONSTRAINTS, DATASETS, LOSSES, MODELS, OPTIMISERS, PROTOCOLS, TASKS)
KINDS: list[type[Config]] = [*(kind for point in POINTS for kind in point.own.values()), Setting, Training, Evaluation]


def numbers(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, schema) of every number in a JSON schema."""
    if isinstance(schema, dict):
        if schema.get("type") in ("number", "integer") and "enum" not in schema:
            yield path, schema
        for key, value in schema.items():
            yield from numbers(value, f"{path}.{key}")
    if isinstance(schema, list):
        for value in schema:
            yield from numbers(value, path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_number_has_bounds(kind: type[Config]) -> None:
    for path, schema in numbers(kind.model_json_schema()):
        assert schema.keys() & {"minimum", "exclusiveMinimum"}, path
        assert schema.keys() & {"maximum", "exclusiveMaximum"}, path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 2**64, 10**30, -(10**30)])
def test_what_is_no_sensible_number_is_refused_by_every_field(value: float) -> None:
    refused = 0
    for kind in KINDS:
        for name, field in kind.model_fields.items():
            if field.annotation in (int, float) or (field.metadata and isinstance(field.default, int | float)):
                with pytest.raises(ValidationError):
                    kind.model_validate({**kind.model_construct().model_dump(), name: value})
                refused += 1
    assert refused > 40


def test_seeds_are_those_of_torch() -> None:
    seeds = TypeAdapter(Axes.model_fields["seeds"].rebuild_annotation())
    assert seeds.validate_python([0, 2**63 - 1]) == (0, 2**63 - 1)
    for wrong in (-1, 2**63):
        with pytest.raises(ValidationError):
            seeds.validate_python([wrong])
