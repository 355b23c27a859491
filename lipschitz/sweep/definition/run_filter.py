"""Choose some runs of a sweep by their labels, seeds or ids: ``constraint=none,seed=0..2``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from lipschitz.errors import InputError
from lipschitz.sweep.definition.run import Run

AXES = ("dataset", "model", "constraint", "loss", "setting", "seed", "id")
_NEXT_AXIS = re.compile(rf",(?=(?:{'|'.join(AXES)})=)")


def filtered(
    runs: Sequence[Run], conditions: Iterable[str], labels: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[Run, ...]:
    """Return the runs that meet ``conditions``; ``labels`` are those of the sweep file, by axis and recorded label.

    A condition is ``axis=value``, or several of them with commas between. A value is a label as in tables, with * for
    any text, or for ``seed`` a number or a range such as ``0..2``, both ends included. ``id`` is that of a run. Of one
    axis any value may hold; of different axes all must.

    Raises:
        InputError: a condition has another form, or no run has the value; the message names what there is.
    """

    def meets(run: Run, axis: str, value: str) -> bool:
        if axis == "seed" and (ends := re.fullmatch(r"(\d+)\.\.(\d+)", value)):
            return int(ends[1]) <= run.seed <= int(ends[2])
        recorded = _value(run, axis)
        shown = (labels or {}).get(axis, {}).get(recorded, recorded)
        # Labels may hold brackets, which are patterns to fnmatch.
        return any(fnmatchcase(one, value.replace("[", "[[]")) for one in (recorded, shown))

    by_axis: dict[str, list[str]] = {}
    for condition in (part for given in conditions for part in _NEXT_AXIS.split(given)):
        axis, sign, value = condition.partition("=")
        if axis not in AXES or not sign:
            raise InputError(f"--only: '{condition}'; allowed: AXIS=VALUE, where AXIS is {', '.join(AXES)}")
        if not any(meets(run, axis, value) for run in runs):
            there = "see --list" if axis == "id" else ", ".join(dict.fromkeys(_value(run, axis) for run in runs))
            raise InputError(f"--only: no run has {axis}={value}; there are: {there}")
        by_axis.setdefault(axis, []).append(value)
    found = tuple(
        run for run in runs if all(any(meets(run, axis, v) for v in values) for axis, values in by_axis.items())
    )
    if not found:
        wanted = (f"{axis}={' or '.join(values)}" for axis, values in by_axis.items())
        raise InputError(f"--only: no run has {' and '.join(wanted)}")
    return found


def _value(run: Run, axis: str) -> str:
    return {"seed": str(run.seed), "id": run.id}.get(axis) or run.labels()[axis]
