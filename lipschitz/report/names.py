"""What people read in place of a label that was written for a machine; tables of numbers keep the label."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ARGUMENTS = re.compile(r"^(\w+)\((.*?)\)(?= \[|$)(.*)$")
_SHOWN_FIRST = ("dim", "width")


def names(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return, by label, how the pairs, models and settings of the task transport are shown; others are shown as such.

    Args:
        rows: one a run: ``task``, the labels, and ``definition``, the resolved run.
    """
    found: dict[str, str] = {}
    for row in rows:
        if row["task"] == "transport":
            definition = row["definition"]
            found[row["dataset"]] = pair(row["dataset"], definition.get("dataset", {}))
            found[row["model"]] = words(row["model"])
            found[row["setting"]] = setting(row["setting"], definition.get("setting", {}))
    return found


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
    if value in ("True", "False"):
        return key if value == "True" else f"no {key}"
    return f"{key} {value.strip('[]').replace(', ', '/').replace('0.0/', '0/')}"
