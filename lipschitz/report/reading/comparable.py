"""Which runs are compared by their settings: those that share everything else, and how such groups are told apart."""

import json
from collections.abc import Callable, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from lipschitz.report.reading.comparisons import slug

_LATER = {"precision": "float32", "layout": "contiguous"}
"""Fields that runs of early versions do not say, as they were then and are by default now."""


class Group(NamedTuple):
    """What runs must share for one to differ from another by method and setting alone."""

    task: str
    dataset: str
    model: str
    training: str
    """Budget, batch size and what else a run is given besides its setting, as `training_of` says it."""


def training_of(definition: dict[str, Any]) -> str:
    """Return what a resolved run says of its training, as JSON: the same of all versions that ran the same."""
    there = {name: value for name, value in definition["training"].items() if value is not None}
    return json.dumps(_LATER | there, sort_keys=True)


def telling(groups: Sequence[Group]) -> list[str]:
    """Return, by group, the fields of its training in which groups of its data set and model differ, in words."""
    fields: list[dict[str, Any]] = [json.loads(group.training) for group in groups]
    said = []
    for group, own in zip(groups, fields, strict=True):
        rivals = [other for other, there in zip(fields, groups, strict=True) if there[:3] == group[:3]]
        differing = sorted(
            {name for rival in rivals for name in rival.keys() | own if rival.get(name) != own.get(name)}
        )
        said.append(", ".join(f"{name.replace('_', ' ')} {own[name]}" for name in differing if name in own))
    return said


def suffixes(groups: Sequence[Group], shown: Callable[[str], str], end: Sequence[str] = ()) -> list[str]:
    """Return the end of the file names of each group: its data set, what else is needed to tell it apart, and ``end``.

    Args:
        shown: what people read in the place of a label.
    """
    found: list[str] = []
    for group in groups:
        rivals = [other for other in groups if other.dataset == group.dataset]
        parts = [part for part in ("task", "model") if len({getattr(other, part) for other in rivals}) > 1]
        name = "_".join([*(slug(shown(getattr(group, part))) for part in ["dataset", *parts]), *end])
        found.append(next(new for new in chain([name], (f"{name}_{i}" for i in count(2))) if new not in found))
    return found
