"""Read and validate a sweep file, and expand it to runs; every error names the file, line and key."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipschitz.errors import InputError, found
from lipschitz.extensions.entry import error_in_words
from lipschitz.extensions.origin import Origin
from lipschitz.sweep.definition.axes import WHOLE, Axes
from lipschitz.sweep.definition.entry_labels import EntryLabels, without_labels
from lipschitz.sweep.definition.expansion import (
    MERGED,
    check_image_fields,
    check_metrics,
    check_protocols,
    expand,
    place_of,
)
from lipschitz.sweep.definition.overrides import BUDGETS, parse_override
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.selection import (
    KEYS,
    Choice,
    Selection,
    Unfinished,
    choose,
    runs_in_folder,
    runs_of_sweep,
)
from lipschitz.sweep.definition.yaml_document import Document, Place
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.terms import Evaluation, Training
from lipschitz.training.observers import Observer


@dataclass(frozen=True)
class Sweep:
    """A sweep file, expanded to runs."""

    name: str
    task: TaskKind
    runs: tuple[Run, ...]
    content: dict[str, Any]
    """The file's content, and the limit on steps if there is one."""
    folder: Path
    """Folder of its results."""
    choices: tuple[Choice, ...] = ()
    """Settings that were chosen by results."""
    waiting: int = 0
    """Number of runs that are not in ``runs`` yet: their settings are chosen once ``runs`` are finished."""
    undecided: frozenset[str] = frozenset()
    """Ids of these runs with each setting that may be chosen."""
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """By axis and label that runs record, what tables and plots show instead."""
    places: dict[str, str] = field(default_factory=dict)
    """By label of a data set, where the file names it: file, line and key."""
    logging: tuple[Observer, ...] = ()
    """Observers that the file names."""

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``."""
        return {
            "name": self.name,
            "task": self.task.label(),
            "sweep": self.content,
            "runs": [run.id for run in self.runs],
            "chosen": [choice.facts() for choice in self.choices],
            "waiting": self.waiting,
            **({"labels": self.labels} if self.labels else {}),
        }


def load_sweep(
    path: Path, limit_steps: int | None = None, out: Path | None = None, overrides: Sequence[str] = ()
) -> Sweep:
    """Read and expand a sweep file whose results go to ``out``, by default ``results/<name>``.

    ``overrides`` replace values of the file; see `lipschitz.sweep.definition.overrides`.

    With ``limit_steps`` every run trains for that many steps, and the results go to ``results/<name>-limit-N``.

    Raises:
        InputError: the file cannot be read or is wrong; the message says where, what was found and what is allowed.
    """
    document = Document(path, [parse_override(text) for text in overrides])
    content = document.values if limit_steps is None else {**document.values, "limit_steps": limit_steps}
    name = str(document.values.get("name"))
    folder = out or Path("results", name if limit_steps is None else f"{name}-limit-{limit_steps}")
    runs: dict[str, Run] = {}
    choices: list[Choice] = []
    waiting = 0
    undecided: set[str] = set()
    labels = EntryLabels()
    places: dict[str, str] = {}
    for values, part in _products(document):
        if limit_steps is not None and isinstance(values.get("training"), dict):
            for budget in BUDGETS:
                values["training"].pop(budget, None)
            values["training"]["steps"] = limit_steps
        at_part = partial(_error_at, document, part)
        values, given = without_labels(values, at_part)
        axes = _validated(document, values, part)
        labels.add(axes, given, at_part)
        for index, dataset in enumerate(axes.datasets):
            places.setdefault(dataset.label(), str(at_part(("datasets", index), "")).removesuffix(": "))
        expanded = list(expand(document, axes, part))
        if axes.select is not None:
            try:
                expanded, chosen = _with_chosen_settings(axes.select, expanded, runs.values(), folder)
                choices += chosen
            except Unfinished:
                waiting += len(expanded) // len(axes.settings)
                undecided |= {run.id for run in expanded}
                continue
            except InputError as error:
                raise document.error(place_of(document, part, ("select",)), str(error)) from None
        for run in expanded:
            runs.setdefault(run.id, run)
    _refuse_namesakes(path, runs.values())
    return Sweep(
        axes.name,
        axes.task,
        tuple(runs.values()),
        content,
        folder,
        tuple(choices),
        waiting,
        undecided=frozenset(undecided),
        labels=labels.facts(),
        places=places,
        logging=axes.logging,
    )


def _error_at(document: Document, part: Place, place: Place, message: str) -> InputError:
    return document.error(place_of(document, part, place), message)


def _refuse_namesakes(path: Path, runs: Iterable[Run]) -> None:
    """Refuse two classes from outside the package that have one name: no label could tell them apart."""
    found: dict[str, Origin] = {}
    for name, origin in (pair for run in runs for pair in run.outside()):
        other = found.setdefault(name, origin)
        if other.identity() != origin.identity() or other.base is not origin.base:
            raise InputError(f"{path}: two different classes are called {name}; rename one")


def _with_chosen_settings(
    selection: Selection, expanded: Sequence[Run], earlier: Iterable[Run], folder: Path
) -> tuple[list[Run], list[Choice]]:
    """Choose settings by the results of ``earlier`` parts in ``folder``, or of the sweep that ``selection`` names."""
    if selection.from_ is None:
        return choose(selection, expanded, runs_in_folder(earlier, SweepFolder(folder)))
    return choose(selection, expanded, runs_of_sweep(Path(selection.from_)))


def _products(document: Document) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the values of each product of axes, and the place of its part in the file; () if it has no parts."""
    common = {key: value for key, value in document.values.items() if key != "parts"}
    if "parts" not in document.values:
        yield common, ()
        return
    parts = document.values["parts"]
    if not isinstance(parts, list) or not parts:
        raise document.error(
            ("parts",), "parts is a list of products of axes, each of which overrides keys of the file"
        )
    for index, part in enumerate(parts):
        place = ("parts", index)
        if not isinstance(part, dict):
            raise document.error(place, f"a part is a mapping of axes, found {found(part)}")
        for key in (*WHOLE, "parts"):
            if key in part:
                raise document.error((*place, key), f"'{key}' belongs at the top of the file, not in a part")
        yield _merged(common, part), place


def _merged(common: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Override keys of ``common`` by those of ``part``; of `MERGED` keys, field by field."""
    merged = {**common, **part}
    for key in MERGED:
        if isinstance(common.get(key), dict) and isinstance(part.get(key), dict):
            merged[key] = {**common[key], **part[key]}
            # A part's budget in seconds replaces one in steps, and the other way round.
            if len(BUDGETS & part[key].keys()) == 1:
                merged[key] = {
                    name: value for name, value in merged[key].items() if name not in BUDGETS - part[key].keys()
                }
        elif isinstance(merged.get(key), dict):
            merged[key] = dict(merged[key])
    return merged


def _validated(document: Document, values: dict[str, Any], part: Place) -> Axes:
    try:
        axes = Axes.model_validate(values, context={"folder": document.path.parent})
    except ValidationError as failure:
        # A misspelt key also makes a missing one; the error about the misspelt key is more helpful.
        error = sorted(failure.errors(), key=lambda error: error["type"] == "missing")[0]
        place = tuple(key for key in error["loc"] if isinstance(key, str | int))
        within = {"training": Training.model_fields, "evaluation": Evaluation.model_fields, "select": KEYS}
        is_inside = place and place[0] in within and (len(place) > 1 or error["type"] == "model_type")
        allowed = [*within[str(place[0])]] if is_inside else [*Axes.model_fields, "parts"]
        raise document.error(place_of(document, part, place), error_in_words(error, allowed)) from None
    check_protocols(document, axes, part)
    check_metrics(document, axes, part)
    check_image_fields(document, axes, part)
    return axes
