"""Compare a sweep with what its folder was made by: which runs are new, and which would be left out of the plan."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lipschitz.errors import InputError, found, shortened
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.store import SweepFolder

NAMED = 3
"""Most runs that a line names."""


class Growth(NamedTuple):
    """How the plan of a sweep differs from the one that its folder was made by."""

    changes: list[str]
    """What is another in the sweep file, such as ``seeds was [0], is [0, 1]``."""
    kept: int
    """Runs that both have."""
    new: list[str]
    """Ids of the runs that only this plan has."""
    shorter: list[str]
    """Ids of the runs that this plan has with more steps instead. Their folders stay, and are not reported."""
    left_out: list[str]
    """Ids of the runs that this plan has no more. Their folders stay, and are not reported."""

    def lines(self, folder: SweepFolder) -> list[str]:
        """Return what a user should know before the sweep goes on, a line each."""
        if not (self.new or self.shorter or self.left_out):
            return []
        why = f" ({shortened('; '.join(self.changes))})" if self.changes else ""
        said = [f"{folder.path}: {_counted(self.kept)} of it stay, {len(self.new)} are new{why}"]
        if self.shorter:
            said.append(f"{_named(self.shorter)} made anew with more steps; the shorter stay, and are not reported")
        if self.left_out:
            said.append(f"{_named(self.left_out)} not in this plan; their folders stay, and are not reported")
        return said


def growth(folder: SweepFolder, sweep: Sweep) -> Growth | None:
    """Compare ``sweep`` with the definition in its folder; None where there is no definition that can be read."""
    try:
        existing = folder.definition()
        before = [str(run_id) for run_id in existing["runs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(existing.get("sweep"), dict):
        return None
    planned = {run.id for run in sweep.runs}
    known = set(before)
    # Settings that are not chosen yet may be chosen again.
    lost = [run_id for run_id in before if run_id not in planned and run_id not in sweep.undecided]
    longer = _LongerRuns(sweep.runs) if lost else None
    shorter = [run_id for run_id in lost if longer is not None and longer.has(folder, run_id)]
    return Growth(
        list(_differences(existing["sweep"], sweep.content)),
        sum(run_id in planned for run_id in before),
        [run.id for run in sweep.runs if run.id not in known],
        shorter,
        [run_id for run_id in lost if run_id not in set(shorter)],
    )


def refuse_smaller(folder: SweepFolder, sweep: Sweep) -> None:
    """Check that ``sweep`` has every run of the definition that its folder was made by; some may have more steps.

    Raises:
        InputError: runs would be left out.
    """
    found = growth(folder, sweep)
    if found is not None and found.left_out:
        changes = "; ".join(found.changes) or "other settings were chosen"
        raise InputError(
            f"{folder.path}: made by another definition, of which {_named(found.left_out)} not in this one: {changes}; "
            "use another --out, or --force to go on here (runs that both have are kept, the others are not reported)"
        )


class _LongerRuns:
    """The runs of a plan, by all that defines them but their number of steps."""

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self._steps: dict[str, int] = {}
        for run in runs:
            if run.training.steps is not None:
                definition = run.definition(run.training.steps)
                key = _but_for_steps(definition)
                self._steps[key] = max(self._steps.get(key, 0), run.training.steps)

    def has(self, folder: SweepFolder, run_id: str) -> bool:
        """Say whether one of them is the run ``run_id`` of the folder with more steps."""
        try:
            definition = folder.run(run_id).definition()
            return self._steps.get(_but_for_steps(definition), 0) > int(definition["run"]["training"]["steps"])
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _but_for_steps(definition: Mapping[str, Any]) -> str:
    training = {key: value for key, value in definition["run"]["training"].items() if key != "steps"}
    # A moved file with classes is the same code.
    code = [[name, {**facts, "file": ""}] for name, facts in sorted(definition["outside"].items())]
    return json.dumps([definition["seed"], code, {**definition["run"], "training": training}], sort_keys=True)


def _differences(existing: Any, new: Any, place: str = "") -> Iterator[str]:
    if isinstance(existing, dict) and isinstance(new, dict):
        for key in sorted({*existing, *new}):
            yield from _differences(existing.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif existing != new:
        yield f"{place} was {found(existing)}, is {found(new)}"


def _counted(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def _named(run_ids: list[str]) -> str:
    """Return the number of runs and the first of them, with the verb: ``2 runs (a, b) are``."""
    shown = ", ".join(run_ids[:NAMED]) + (", ..." if len(run_ids) > NAMED else "")
    return f"{_counted(len(run_ids))} ({shown}) {'is' if len(run_ids) == 1 else 'are'}"
