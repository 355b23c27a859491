"""Sweep files: YAML that expands to runs, strictly validated; every error names file, line and key."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipschitz.errors import InputError
from lipschitz.extensions.entry import describe
from lipschitz.sweep.definition.axes import Axes
from lipschitz.sweep.definition.expansion import MERGED, at, check_layout, check_metrics, check_protocols, expand
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.selection import KEYS, Choice, Selection, Unfinished, choose, judged_here, judged_in
from lipschitz.sweep.definition.yaml_document import Document, Place
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.terms import Evaluation, Training

BUDGETS = {"steps", "seconds"}


@dataclass(frozen=True)
class Sweep:
    """A sweep file, expanded."""

    name: str
    task: TaskKind
    runs: tuple[Run, ...]
    content: dict[str, Any]
    """The file's content, with the limit on steps applied."""
    folder: Path
    """Where its results go."""
    choices: tuple[Choice, ...] = ()
    """Settings chosen by results that are there already."""
    waiting: int = 0
    """Runs that are not among ``runs`` yet: their settings are chosen once those are finished."""

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``."""
        return {
            "name": self.name,
            "task": self.task.label(),
            "sweep": self.content,
            "runs": [run.id for run in self.runs],
            "chosen": [choice.facts() for choice in self.choices],
            "waiting": self.waiting,
        }


def load_sweep(path: Path, limit_steps: int | None = None, out: Path | None = None) -> Sweep:
    """Read and expand a sweep file whose results go to ``out``, by default ``results/<name>``.

    With ``limit_steps`` every run trains that many steps, and the results go to ``results/<name>-limit-N``.

    Raises:
        InputError: the file cannot be read or is wrong; says where, what was found and what is allowed.
    """
    document = Document(path)
    content = document.values if limit_steps is None else {**document.values, "limit_steps": limit_steps}
    name = str(document.values.get("name"))
    folder = out or Path("results", name if limit_steps is None else f"{name}-limit-{limit_steps}")
    runs: dict[str, Run] = {}
    choices: list[Choice] = []
    waiting = 0
    for values, part in _products(document):
        if limit_steps is not None and isinstance(values.get("training"), dict):
            values["training"].pop("seconds", None)
            values["training"]["steps"] = limit_steps
        axes = _validated(document, values, part)
        expanded = list(expand(document, axes, part))
        if axes.select is not None:
            try:
                expanded, chosen = _chosen(axes.select, expanded, runs.values(), folder)
                choices += chosen
            except Unfinished:
                waiting += len(expanded) // len(axes.settings)
                continue
            except InputError as error:
                raise document.error(at(document, part, ("select",)), str(error)) from None
        for run in expanded:
            runs.setdefault(run.id, run)
    return Sweep(axes.name, axes.task, tuple(runs.values()), content, folder, tuple(choices), waiting)


def _chosen(
    selection: Selection, expanded: Sequence[Run], earlier: Iterable[Run], folder: Path
) -> tuple[list[Run], list[Choice]]:
    """Choose by the results of ``earlier`` parts, which lie in ``folder``, or by those of the sweep that is named."""
    if selection.from_ is None:
        return choose(selection, expanded, judged_here(earlier, SweepFolder(folder)))
    return choose(selection, expanded, judged_in(Path(selection.from_)))


def _products(document: Document) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield each product's values and the place of its part in the file, () without parts."""
    common = {key: value for key, value in document.values.items() if key != "parts"}
    if "parts" not in document.values:
        yield common, ()
        return
    parts = document.values["parts"]
    if not isinstance(parts, list) or not parts:
        raise document.error(("parts",), "parts is a list of products, each overriding keys of the file")
    for index, part in enumerate(parts):
        place = ("parts", index)
        if not isinstance(part, dict):
            raise document.error(place, f"a part is a mapping of axes, found {part!r}")
        for key in ("name", "task", "parts"):
            if key in part:
                raise document.error((*place, key), f"'{key}' stands at the top of the file, not in a part")
        yield _merged(common, part), place


def _merged(common: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Override keys of ``common``; the fields of those that are `MERGED` one by one."""
    merged = {**common, **part}
    for key in MERGED:
        if isinstance(common.get(key), dict) and isinstance(part.get(key), dict):
            merged[key] = {**common[key], **part[key]}
            # A part's budget in seconds takes the place of one in steps, and the other way round.
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
        # A misspelt key is missing, too: what is there says more.
        error = sorted(failure.errors(), key=lambda error: error["type"] == "missing")[0]
        place = tuple(key for key in error["loc"] if isinstance(key, str | int))
        within = {"training": Training.model_fields, "evaluation": Evaluation.model_fields, "select": KEYS}
        allowed = {*within[str(place[0])]} if len(place) > 1 and place[0] in within else {*Axes.model_fields, "parts"}
        raise document.error(at(document, part, place), describe(error, allowed)) from None
    check_protocols(document, axes, part)
    check_metrics(document, axes, part)
    check_layout(document, axes, part)
    return axes
