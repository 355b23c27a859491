"""Group runs for comparison, by constraint or by constraint and setting, and label what the groups differ in."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.reading.display_names import SettingLabel

LABELS = ["task", "dataset", "model", "constraint", "loss", "setting"]
"""What names a configuration: a run without its seed."""

COMPARISON = ["task", "dataset", "model", "loss", "setting"]
"""What must agree before two constraints may share a curve."""

_LONGEST_SUFFIX = 120
"""Most characters of the end of a file's name: file systems allow 255 bytes for the whole name."""
_LATER_FIELDS = {"precision": "float32", "layout": "contiguous", "augment": []}
"""Fields of training that runs of early versions lack, with the value that these runs had."""


class Comparison(NamedTuple):
    """What the constraints of one comparison share."""

    task: str
    dataset: str
    model: str
    loss: str
    setting: str

    def title(self, shown: Callable[[str], str]) -> str:
        """Return the title of every figure of this comparison; ``shown`` maps a label to its display name."""
        return f"{shown(self.dataset)}  ·  {shown(self.model)}, {self.loss} loss, setting {shown(self.setting)}"


class Group(NamedTuple):
    """What runs share that are compared by constraint, loss and setting."""

    task: str
    dataset: str
    model: str
    training: str
    """Budget, batch size and all else but the setting, as `training_of` returns it."""


def rows_of(frame: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of ``frame`` whose columns hold these labels."""
    chosen = pd.Series(True, index=frame.index)
    for column, value in labels.items():
        chosen &= frame[column] == value
    return frame[chosen]


def comparisons(runs: pd.DataFrame) -> list[Comparison]:
    """Return the comparisons of a sweep in the order of its plan."""
    distinct = runs[COMPARISON].drop_duplicates()
    return [Comparison(*map(str, row)) for row in distinct.itertuples(index=False)]


def training_of(definition: dict[str, Any]) -> str:
    """Return the training of a resolved run as JSON, equal for runs of all versions that were trained alike."""
    fields = {name: value for name, value in definition["training"].items() if value is not None}
    return json.dumps(_LATER_FIELDS | fields, sort_keys=True)


def training_differences(groups: Sequence[Group]) -> list[str]:
    """Return for each group, in words, the fields of training that differ among groups of its data set and model."""
    trainings: list[dict[str, Any]] = [json.loads(group.training) for group in groups]
    texts = []
    for group, own in zip(groups, trainings, strict=True):
        rivals = [training for training, other in zip(trainings, groups, strict=True) if other[:3] == group[:3]]
        differing = sorted(
            {name for rival in rivals for name in rival.keys() | own if rival.get(name) != own.get(name)}
        )
        texts.append(", ".join(f"{name.replace('_', ' ')} {own[name]}" for name in differing if name in own))
    return texts


def file_suffixes(
    groups: Sequence[Comparison] | Sequence[Group],
    parts: Sequence[str],
    shown: Callable[[str], str],
    end: Sequence[str] = (),
) -> list[str]:
    """Return distinct ends of file names, one a group: its data set, and the parts that tell it from others of that.

    Args:
        groups: comparisons, or groups of settings.
        parts: fields of a group that may be named.
        shown: maps a label to its display name.
        end: words after all others.
    """
    suffixes: list[str] = []
    for group in groups:
        rivals = [other for other in groups if other.dataset == group.dataset]
        differing = [part for part in parts if len({getattr(other, part) for other in rivals}) > 1]
        own = "_".join(slug(shown(getattr(group, part))) for part in ["dataset", *differing])
        name = "_".join([own[:_LONGEST_SUFFIX], *end])
        candidates = chain([name], (f"{name}_{number}" for number in count(2)))
        suffixes.append(next(candidate for candidate in candidates if candidate not in suffixes))
    return suffixes


def slug(text: str) -> str:
    """Return ``text`` as a part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def separate_configurations(runs: pd.DataFrame) -> pd.DataFrame:
    """Return ``runs`` with a ``setting`` that also names what differs between configurations with the same labels.

    Without it, two configurations that differ in a field outside the labels (for example the batch size) would be
    averaged. What differs is also in the column ``extra``.

    Args:
        runs: one row a run, with the labels, setting_name, precision, extra, configuration and ``definition`` (the
            resolved run, a nested dict).
    """
    runs = runs.copy()
    for _, group in runs.groupby(LABELS, sort=False):
        if group["configuration"].nunique() == 1:
            continue
        first = group.drop_duplicates("configuration")
        fields = {
            row.configuration: {path: json.dumps(value) for path, value in flatten(row.definition).items()}
            for row in first.itertuples()
        }
        names = list(dict.fromkeys(name for flat in fields.values() for name in flat))
        differing = [name for name in names if name != "seed" and len({flat.get(name) for flat in fields.values()}) > 1]
        extra = {
            configuration: ", ".join(f"{name}={flat.get(name, 'unset')}" for name in differing) or configuration
            for configuration, flat in fields.items()
        }
        runs.loc[group.index, "extra"] = group["configuration"].map(extra)
    parts = runs[["setting_name", "precision", "extra"]].itertuples(index=False, name=None)
    runs["setting"] = [SettingLabel(*part).full for part in parts]
    return runs


def flatten(value: Any, separator: str = ".") -> dict[str, Any]:
    """Return the values of nested dicts by the path to each, ``training.steps``; an empty dict has no value."""
    if not isinstance(value, Mapping):
        return {"": value}
    flat: dict[str, Any] = {}
    for key, part in value.items():
        for path, leaf in flatten(part, separator).items():
            flat[f"{key}{separator}{path}" if path else str(key)] = leaf
    return flat
