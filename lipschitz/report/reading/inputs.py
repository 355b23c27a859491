"""Refuse to compare runs that were made with different data, or judged by different networks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lipschitz.checksums import SHOWN
from lipschitz.errors import InputError

_WHAT = {
    "data": "data of {}",
    "classifier": "reference classifiers of {}",
    "inception": "Inception weights",
}
"""By input: what a message calls it; only the Inception weights are the same for all data sets."""


def refuse_mixed_inputs(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Check that runs on one data set had the same data and classifier, and all runs the same Inception weights.

    Args:
        folder: of the sweep.
        rows: one a run, with ``run``, ``dataset`` and ``inputs``, which are empty for runs of earlier versions.

    Raises:
        InputError: they had different ones: the hashes, and runs of each.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for key, content in row["inputs"].items():
            what = _WHAT.get(key, key).format(row["dataset"])
            found.setdefault(what, {}).setdefault(content, []).append(str(row["run"]))
    for what, runs in found.items():
        if len(runs) > 1:
            sides = " and ".join(f"{content[:SHOWN]} ({_some(names)})" for content, names in runs.items())
            raise InputError(f"{folder}: runs with different {what} cannot share a table: SHA-256 {sides}")


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
