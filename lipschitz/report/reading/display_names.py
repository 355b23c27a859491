"""Labels as people read them in tables and figures; csv files keep the labels that sweeps record."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

_ARGUMENTS = re.compile(r"^(\w+)\((.*?)\)(?= \[|$)(.*)$")
_PRECISION = re.compile(r"^(.*?) \[([^\[\]]+)\]$")
_SHOWN_FIRST = ("dim", "width")
_PATH_FIELDS = {"npz": "file", "folder": "folder"}
"""By kind of data set that users bring themselves: the field that holds its path."""


class SettingLabel(NamedTuple):
    """The parts of the label of a setting, ``C [bf16] [training.batch_size=7]``."""

    name: str
    """The setting alone: ``C``."""
    precision: str
    """Precision and memory layout of training, ``bf16``; empty where both are the default."""
    extra: str
    """What else tells its configuration from others of the same labels; empty where nothing does."""

    @property
    def recorded(self) -> str:
        """The label that runs record: without what was added to tell configurations apart."""
        return self.name + (f" [{self.precision}]" if self.precision else "")

    @property
    def full(self) -> str:
        """The label as it is written in tables."""
        return self.recorded + (f" [{self.extra}]" if self.extra else "")


def parse_setting(recorded: str) -> SettingLabel:
    """Return the parts of the label of a setting as a run records it."""
    match = _PRECISION.match(recorded)
    return SettingLabel(recorded, "", "") if match is None else SettingLabel(match[1], match[2], "")


def display_names(
    rows: Iterable[Mapping[str, Any]], given: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, str]:
    """Return by label what tables and figures show in its place; a label that is missing is shown as it is.

    These are the labels that a sweep file gives, the names of users' own data sets, and pairs of distributions, models
    and settings of the task transport.

    Args:
        rows: one a configuration: ``task``, the labels, ``setting_name`` (the setting without precision and extra),
            and ``definition``, the resolved run.
        given: by axis and label that runs record, the label of the sweep file.
    """
    rows = list(rows)
    found: dict[str, str] = {}
    datasets: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        definition = row["definition"]
        datasets[row["dataset"]] = definition.get("dataset", {})
        if row["task"] == "transport":
            found[row["dataset"]] = pair_name(row["dataset"], definition.get("dataset", {}))
            found[row["model"]] = label_in_words(row["model"])
            for label in (row["setting"], row["setting_name"]):
                found[label] = setting_name(label, definition.get("setting", {}))
    own = {label: definition for label, definition in datasets.items() if definition.get("name") in _PATH_FIELDS}
    return found | own_dataset_names(own, datasets.keys() - own.keys()) | _given_names(rows, given or {})


def _given_names(rows: Iterable[Mapping[str, Any]], given: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return by label of a run that of the sweep file; what was added to a label, such as a precision, follows it."""
    names = {}
    for row in rows:
        for axis, labels in given.items():
            for label in (row.get(axis), row.get("setting_name") if axis == "setting" else None):
                # A label may be the beginning of another; `` with `` and `` [`` begin what is added.
                known = (one for one in labels if label == one or str(label).startswith((f"{one} with ", f"{one} [")))
                if (recorded := max(known, key=len, default=None)) is not None:
                    names[str(label)] = labels[recorded] + str(label)[len(recorded) :]
    return names


def own_dataset_names(own: Mapping[str, Mapping[str, Any]], taken: Collection[str]) -> dict[str, str]:
    """Return by label a short name of each data set that is a file or a folder: ``faces`` for ``/long/path/faces.npz``.

    Where two have the same name, more of the path precedes it. Where two have the same path, the fields in which they
    differ follow it. All names are distinct, and none is one of ``taken``.

    Args:
        own: by label, the resolved data set.
        taken: the names of other data sets.
    """
    shown: dict[str, str] = {}
    for label, definition in own.items():
        path = _path(definition)
        others = {tail for other in own.values() if _path(other) != path for tail in _tails(_path(other))} | set(taken)
        short = next((tail for tail in _tails(path) if tail not in others), str(path))
        same_path = [other for other in own.values() if _path(other) == path]
        differing = [key for key in definition if len({str(other.get(key)) for other in same_path}) > 1]
        name = ", ".join([short, *(_word(key, str(definition[key])) for key in differing)])
        shown[label] = name if name not in {*taken, *shown.values()} else label
    return shown


def _path(definition: Mapping[str, Any]) -> PurePath:
    return PurePath(str(definition.get(_PATH_FIELDS[definition["name"]])))


def _tails(path: PurePath) -> Iterator[str]:
    """Yield ``c``, ``b/c``, ``a/b/c`` of ``/a/b/c.npz``."""
    parts = (path.with_suffix("") if path.suffix == ".npz" else path).parts
    for start in range(len(parts) - 1, -1, -1):
        yield str(PurePath(*parts[start:]))


def pair_name(label: str, definition: Mapping[str, Any]) -> str:
    """Return the name of a pair of distributions, with its dimension and width even where they are the default."""
    name, arguments, rest = _parsed(label)
    published = "published " if arguments.pop("published", "") == "True" else ""
    forms = {"width": "{} funnels"} if name == "funnels" else {}
    first = [forms.get(key, f"{key} {{}}").format(definition[key]) for key in _SHOWN_FIRST if key in definition]
    others = [_word(key, value) for key, value in arguments.items() if key not in _SHOWN_FIRST]
    return ", ".join([published + name, *first, *others]) + rest


def critic_name(constraint: str, activation: str) -> str | None:
    """Return the published name of a constraint with an activation, None where the two together have no name.

    Source: Anil et al. 2019, arXiv:1811.05381, Sorting out Lipschitz function approximation.
    """
    is_sorting_out = _parsed(constraint)[0] == "orthogonal" and "+" not in constraint and activation == "full_sort"
    return f"sorting out ({constraint}, {activation})" if is_sorting_out else None


def setting_name(label: str, definition: Mapping[str, Any]) -> str:
    """Return ``adam(betas=[0.0, 0.9])`` as ``adam, rate 0.0002, betas 0/0.9``: with its rate, even the default one.

    A setting with a name, ``C``, is shown by that name.
    """
    name, arguments, rest = _parsed(label)
    if not arguments and name != definition.get("optimiser"):
        return label
    rate = arguments.pop("lr", definition.get("lr"))
    rate_words = [f"rate {float(rate):g}"] if rate is not None else []
    return ", ".join([name, *rate_words, *(_word(key, value) for key, value in arguments.items())]) + rest


def label_in_words(label: str) -> str:
    """Return ``adam(betas=[0.0, 0.9])`` as ``adam, betas 0.0/0.9``."""
    name, arguments, rest = _parsed(label)
    return ", ".join([name, *(_word(key, value) for key, value in arguments.items())]) + rest


def bare_name(label: str) -> str:
    """Return a label without its arguments: ``sngan`` for ``sngan(n_fake=5000)``; of a combination, the first name."""
    return label.partition("(")[0]


def _parsed(label: str) -> tuple[str, dict[str, str], str]:
    """Return the name, the arguments and what follows in brackets; a label of another form is a name alone."""
    match = _ARGUMENTS.match(label)
    if match is None:
        return label, {}, ""
    parts = re.split(r", (?=\w+=)", match[2])
    return match[1], dict(part.split("=", 1) for part in parts if "=" in part), match[3]


def _word(key: str, value: str) -> str:
    if value in ("True", "False", "None"):
        return key if value == "True" else f"no {key}"
    return f"{key} {value.strip('[]').replace(', ', '/').replace('0.0/', '0/')}"
