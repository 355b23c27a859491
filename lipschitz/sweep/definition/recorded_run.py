"""Rebuild a run's configs (task, data set, model, constraints) from its run.json, also of earlier versions."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from lipschitz.config import Config
from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.datasets.base import DATASETS, Dataset
from lipschitz.errors import InputError, first_line
from lipschitz.extensions.entry import config_of, error_in_words
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.models.base import MODELS, Model
from lipschitz.tasks.base import TASKS, TaskKind

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class RecordedRun:
    """What the networks of a run are made of."""

    task: TaskKind
    dataset: Dataset
    model: Model
    constraints: tuple[Constraint, ...]
    generator_constraints: tuple[Constraint, ...]


def recorded_run(definition: Mapping[str, Any]) -> RecordedRun:
    """Return the configs of the run that ``definition``, a ``run.json``, describes.

    A class from a file is loaded from the path that the run recorded, which runs the code of the file; its SHA-256 must
    be the recorded one. A class of another package must be installed.

    Raises:
        InputError: a class is not here, or has changed, or the definition is not one of a run.
    """
    try:
        run, outside = definition["run"], definition.get("outside", {})
        read = _Reader(outside)
        return RecordedRun(
            task=read.entry(TASKS, run["task"]),
            dataset=read.fields(DATASETS, run["dataset"]),
            model=read.fields(MODELS, run["model"]),
            constraints=tuple(read.fields(CONSTRAINTS, one) for one in run["constraints"]),
            generator_constraints=tuple(read.fields(CONSTRAINTS, one) for one in run.get("generator_constraints", [])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not the definition of a run ({first_line(error, with_type=True)})") from None


class _Reader:
    """Makes configs from what a run recorded of them; ``outside`` is by name where classes come from."""

    def __init__(self, outside: Mapping[str, Mapping[str, str]]) -> None:
        self._outside = outside

    def entry(self, point: ExtensionPoint[C], entry: Any) -> C:
        """Return the config of an entry of a sweep file: a name, or a name with its fields."""
        name, fields = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        return _told(name, lambda: config_of(point, {self._called(name): fields}))

    def fields(self, point: ExtensionPoint[C], fields: Mapping[str, Any]) -> C:
        """Return the config of a name with all of its fields, as JSON has them."""
        name = fields["name"]
        kind = point.called(self._called(name))
        values = json.dumps({key: value for key, value in fields.items() if key != "name"})
        # As JSON, in which a list is a tuple.
        return _told(name, lambda: kind.model_validate_json(values))

    def _called(self, name: str) -> str:
        """Return how a sweep file calls the class: by its name or, where it is in a file, by that.

        Raises:
            InputError: the file is not there, or has changed.
        """
        facts = self._outside.get(name, {})
        if "file" not in facts:
            return name
        try:
            content = Path(facts["file"]).read_bytes()
        except OSError as error:
            raise InputError(f"{name} is in {facts['file']}, which cannot be read: {error.strerror}") from None
        if sha256(content).hexdigest() != facts.get("sha256"):
            raise InputError(f"{name}: {facts['file']} has changed since the run; allowed: the file as it was")
        return f"{facts['file']}:{name}"


def _told(name: str, make: Callable[[], C]) -> C:
    try:
        return make()
    except PydanticCustomError as error:
        raise InputError(error.message()) from None
    except ValidationError as failure:
        first = failure.errors()[0]
        field = ".".join(map(str, (name, *first["loc"])))
        raise InputError(f"{field}: {error_in_words(first)}; the run is of another version of lipschitz") from None
