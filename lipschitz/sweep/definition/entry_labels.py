"""Labels of a sweep file's entries: what people read in tables and plots, ``{aol: {label: AOL}}``; no part of a run."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lipschitz.errors import InputError, found
from lipschitz.sweep.definition.yaml_document import Place

if TYPE_CHECKING:
    from lipschitz.sweep.definition.axes import Axes

AXES = {"datasets": "dataset", "models": "model", "constraints": "constraint", "losses": "loss", "settings": "setting"}
"""Axes of a sweep file whose entries may have a label, and how run.json calls them."""
KEY = "label"
LONGEST = 60
"""Most characters of a label."""
Given = dict[Place, str]
"""Labels by the place of their entry; one of a combination has two indices."""
ErrorAt = Callable[[Place, str], InputError]


def without_labels(values: Mapping[str, Any], error: ErrorAt) -> tuple[dict[str, Any], Given]:
    """Return the values of a product of axes without labels, and the labels by place.

    Raises:
        InputError: a label is no text of 1 to `LONGEST` characters.
    """
    given: Given = {}

    def stripped(entry: Any, place: Place) -> Any:
        if isinstance(entry, list):
            return [stripped(one, (*place, index)) for index, one in enumerate(entry)]
        if not isinstance(entry, dict):
            return entry
        name = next(iter(entry)) if len(entry) == 1 and place[0] != "settings" else None
        fields = entry if name is None else entry[name]
        if not isinstance(fields, dict) or KEY not in fields:
            return entry
        label = fields[KEY]
        if not isinstance(label, str) or not label.strip() or len(label) > LONGEST or not label.isprintable():
            where = (*place, KEY) if name is None else (*place, name, KEY)
            raise error(where, f"expected a text of 1 to {LONGEST} characters, found {found(label)}")
        given[place] = label
        rest = {key: value for key, value in fields.items() if key != KEY}
        return rest if name is None else {name: rest}

    read = {
        key: [stripped(entry, (key, index)) for index, entry in enumerate(value)]
        if key in AXES and isinstance(value, list)
        else value
        for key, value in values.items()
    }
    return read, given


class EntryLabels:
    """The labels of a whole sweep: by axis of a run, what is shown in place of the label that runs record."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, str]] = {}
        self._owners: dict[tuple[str, str], str] = {}

    def add(self, axes: "Axes", given: Given, error: ErrorAt) -> None:
        """Add the labels of one product of axes.

        Raises:
            InputError: an entry has two labels, or two entries of an axis have one.
        """
        for axis, index, recorded, names in _entries(axes, given):
            label, place = "+".join(names), (axis, index)
            owner = self._owners.setdefault((axis, label), recorded)
            if owner != recorded:
                raise error(place, f"{owner} and {recorded} are both called {found(label)}; give each its own label")
            if label == recorded:
                continue
            first = self._shown.setdefault(AXES[axis], {}).setdefault(recorded, label)
            if first != label:
                raise error(place, f"{recorded} has two labels, {found(first)} and {found(label)}")

    def facts(self) -> dict[str, dict[str, str]]:
        """Return the labels as ``sweep.json`` has them, without axes that have none."""
        return {axis: dict(of_axis) for axis, of_axis in self._shown.items()}


def _entries(axes: "Axes", given: Given) -> Iterator[tuple[str, int, str, list[str]]]:
    """Yield of each entry its axis and index, the label that runs record, and the shown labels of its members."""
    for axis in AXES:
        entries: tuple[Any, ...] = getattr(axes, axis) or ()
        for index, entry in enumerate(entries):
            members = entry if isinstance(entry, tuple) else (entry,)
            recorded = [one if isinstance(one, str) else one.label() for one in members]
            whole = given.get((axis, index))
            names = [given.get((axis, index, at), name) for at, name in enumerate(recorded)]
            yield axis, index, "+".join(recorded), [whole] if whole is not None else names


def add_to_schema(axes: dict[str, Any]) -> None:
    """Add the label to the fields of every entry in the JSON Schema of the axes."""
    label = {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST,
        "description": "What tables and plots call the entry. Runs do not depend on it.",
    }

    def add(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                add(one)
        elif isinstance(node, dict):
            if node.get("maxProperties") == 1:
                for fields in node["properties"].values():
                    fields.setdefault("properties", {})[KEY] = label
            for key in ("anyOf", "items"):
                add(node.get(key))

    for axis in AXES:
        add(axes[axis])
    for one in axes["settings"]["items"]["anyOf"]:
        if "properties" in one:
            one["properties"][KEY] = label
