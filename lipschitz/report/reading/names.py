"""What people read in place of a label that was written for a machine; tables of numbers keep the label."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

_ARGUMENTS = re.compile(r"^(\w+)\((.*?)\)(?= \[|$)(.*)$")
_SHOWN_FIRST = ("dim", "width")
_PATHS = {"npz": "file", "folder": "folder"}
"""By data set that is the user's own: the field that says where it lies."""


def names(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return by label how data sets of the user's are shown, and pairs, models and settings of the task transport.

    Labels that are left out are shown as they are.

    Args:
        rows: one a run: ``task``, the labels, and ``definition``, the resolved run.
    """
    found: dict[str, str] = {}
    datasets: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        definition = row["definition"]
        datasets[row["dataset"]] = definition.get("dataset", {})
        if row["task"] == "transport":
            found[row["dataset"]] = pair(row["dataset"], definition.get("dataset", {}))
            found[row["model"]] = words(row["model"])
            found[row["setting"]] = setting(row["setting"], definition.get("setting", {}))
    own = {label: definition for label, definition in datasets.items() if definition.get("name") in _PATHS}
    return found | files(own, datasets.keys() - own.keys())


def files(own: Mapping[str, Mapping[str, Any]], taken: Collection[str]) -> dict[str, str]:
    """Return by label the name of each data set that is a file or a folder: that of ``/long/path/faces.npz`` is faces.

    More of the path stands before it where others have the same name, and behind it the fields in which data sets of
    one path differ: no two are shown alike, and none as one of ``taken``.

    Args:
        own: by label, the resolved data set.
        taken: what other data sets are shown as.
    """
    shown: dict[str, str] = {}
    for label, definition in own.items():
        rivals = [other for other in own.values() if _path(other) != _path(definition)]
        others = {name for rival in rivals for name in _tails(_path(rival))} | set(taken)
        name = next((name for name in _tails(_path(definition)) if name not in others), str(_path(definition)))
        alike = [other for other in own.values() if _path(other) == _path(definition)]
        differing = [key for key in definition if len({str(other.get(key)) for other in alike}) > 1]
        told = ", ".join([name, *(_word(key, str(definition[key])) for key in differing)])
        shown[label] = told if told not in {*taken, *shown.values()} else label
    return shown


def _path(definition: Mapping[str, Any]) -> PurePath:
    return PurePath(str(definition.get(_PATHS[definition["name"]])))


def _tails(path: PurePath) -> Iterator[str]:
    """Yield ``c``, ``b/c``, ``a/b/c`` of ``/a/b/c.npz``."""
    parts = (path.with_suffix("") if path.suffix == ".npz" else path).parts
    for start in range(len(parts) - 1, -1, -1):
        yield str(PurePath(*parts[start:]))


def pair(label: str, definition: Mapping[str, Any]) -> str:
    """Return the name of a pair of distributions: with its dimension and width, even where they are the default."""
    name, arguments, rest = _parsed(label)
    published = "published " if arguments.pop("published", "") == "True" else ""
    said = {"width": "{} funnels"} if name == "funnels" else {}
    first = [said.get(key, f"{key} {{}}").format(definition[key]) for key in _SHOWN_FIRST if key in definition]
    others = [_word(key, value) for key, value in arguments.items() if key not in _SHOWN_FIRST]
    return ", ".join([published + name, *first, *others]) + rest


def critic(constraint: str, activation: str) -> str | None:
    """Return the name that a constraint on a critic with this activation has of its own; None where it has none.

    Source: Anil et al. 2019, arXiv:1811.05381, Sorting out Lipschitz function approximation.
    """
    sorting_out = constraint.partition("(")[0] == "orthogonal" and "+" not in constraint and activation == "full_sort"
    return f"sorting out ({constraint}, {activation})" if sorting_out else None


def setting(label: str, definition: Mapping[str, Any]) -> str:
    """Return ``adam(betas=[0.0, 0.9])`` as ``adam, rate 0.0002, betas 0/0.9``: with its rate, even the default one.

    A setting that has a name of its own, ``C``, is read as that.
    """
    name, arguments, rest = _parsed(label)
    if not arguments and name != definition.get("optimiser"):
        return label
    rate = arguments.pop("lr", definition.get("lr"))
    said = [f"rate {float(rate):g}"] if rate is not None else []
    return ", ".join([name, *said, *(_word(key, value) for key, value in arguments.items())]) + rest


def words(label: str) -> str:
    """Return ``adam(betas=[0.0, 0.9])`` as ``adam, betas 0.0/0.9``."""
    name, arguments, rest = _parsed(label)
    return ", ".join([name, *(_word(key, value) for key, value in arguments.items())]) + rest


def _parsed(label: str) -> tuple[str, dict[str, str], str]:
    match = _ARGUMENTS.match(label)
    if match is None:
        return label, {}, ""
    parts = re.split(r", (?=\w+=)", match[2])
    return match[1], dict(part.split("=", 1) for part in parts if "=" in part), match[3]


def _word(key: str, value: str) -> str:
    if value in ("True", "False", "None"):
        return key if value == "True" else f"no {key}"
    return f"{key} {value.strip('[]').replace(', ', '/').replace('0.0/', '0/')}"
