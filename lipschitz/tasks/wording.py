"""The words of each task in reports, without torch: what the networks, samples and reference rows are called."""

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import lipschitz.tasks


class Wording(NamedTuple):
    """The words of a report for one task, and how it lays out tables and axes."""

    lead: str
    """First line of the page."""
    network: str
    """Name of the trained network D, as the head of a column."""
    floor: str
    """Name of the floor's row in a table: the metrics of real data, or of an optimal potential."""
    meaning: str
    """Explanation of that row, for the page."""
    real: str
    """Name of the samples on which D is to be high."""
    fake: str
    """Name of the samples on which D is to be low."""
    timed: tuple[str, ...]
    """Parts of a training step that the timing pass measures."""
    places: dict[str, str]
    """Names of the places where gradients are measured; a place that is missing here keeps its own name."""
    axes_reach_floor: bool
    """Whether an axis of quality always shows the floor; not where it is zero up to noise, far below all methods."""
    shares_tables: bool
    """Whether models share a table: the true answer does not depend on the network."""
    judged_places: tuple[str, ...] = ()
    """What follows the slash of the metrics that tables of quality show, such as ``test``; empty for all."""
    replaced: tuple[tuple[str, str], ...] = ()
    """Words of descriptions that hold for GANs alone, and those of this task, in the order of replacement."""

    def adapted(self, text: str) -> str:
        """Return ``text`` with the words of this task."""
        for old, new in self.replaced:
            text = text.replace(old, new)
        return text


@cache
def wording(task: str) -> Wording:
    """Return the words of ``task``, from ``wording.py`` in its folder, or else those of generation.

    ``task`` is a label: a name, with the fields that differ from their defaults in brackets.
    """
    folder = task.partition("(")[0]
    name = f"lipschitz.tasks.{folder}"
    if not folder.isidentifier() or find_spec(name) is None or find_spec(f"{name}.wording") is None:
        return wording("generation")
    found: Wording = import_module(f"{name}.wording").WORDING
    return found


def floors() -> tuple[str, ...]:
    """Return what the tasks call the reference row of a table, such as ``real data``."""
    tasks = [module.name for module in pkgutil.iter_modules(lipschitz.tasks.__path__) if module.ispkg]
    return tuple(dict.fromkeys(wording(task).floor for task in tasks))
