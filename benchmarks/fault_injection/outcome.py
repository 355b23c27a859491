"""What a try of a fault came to: records lost, doubled or changed, tracebacks, and whether the message was clear."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 200
"""Most characters of a clear line, besides paths and ids of runs."""
RESULT_KEYS = ("status", "step", "last", "best", "floor", "protocols")
"""What a result says about networks, without times and hashes of files that hold times."""
DEFINITION_KEYS = ("id", "configuration", "labels", "seed", "steps", "run")
MESSAGE = re.compile(r"^(error: |warning: |failed: |stopped|stopping|waiting|damaged |aborted|\S+: )")


@dataclass
class Outcome:
    """One try."""

    how: str = "equal"
    """What happened, in the words of `lipschitz`'s table of faults: equal, refused, failed alone, named, ..."""
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    tracebacks: int = 0
    unclear: list[str] = field(default_factory=list)
    """Messages that are no clear line."""
    message: str = ""
    """What was said about the fault."""
    seconds: float = 0.0
    where: str = ""
    """What kept the try itself from being made, such as missing rights."""


def tracebacks_in(text: str) -> int:
    return text.count("Traceback (most recent call last)")


def without_paths(line: str) -> str:
    """Return ``line`` without paths and without ids of runs and configurations, which may be long."""
    # A path has a slash, or is the data set's file in the current folder.
    line = re.sub(r"\S*/\S*|\S+\.npz\b", "…", line)
    return re.sub(r"\S+-[0-9a-f]{8}\b", "…", line)


def unclear(lines: Iterable[str]) -> list[str]:
    """Return the lines that are too long or hold control characters."""
    return [line for line in lines if len(without_paths(line)) > LIMIT or not line.replace("\t", " ").isprintable()]


def read_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what each run of a results folder measured; what cannot be read is missing."""
    runs = {}
    for path in sorted((folder / "runs").glob("*")):
        runs[path.name] = {
            "records": _records(path / "records.jsonl"),
            "parts": {
                **_parts("result", _json(path / "result.json"), RESULT_KEYS),
                **_parts("run", _json(path / "run.json"), DEFINITION_KEYS),
                **_arrays(path / "samples.npz"),
            },
        }
    return runs


def compare(expected: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]], outcome: Outcome) -> None:
    """Count in ``outcome`` how the runs ``found`` differ from the runs ``expected``, and only those."""
    for name, run in expected.items():
        ours = found.get(name, {"records": [], "parts": {}})
        theirs = dict(run["records"])
        counts = Counter(key for key, _ in ours["records"])
        outcome.lost += sum(key not in counts for key in theirs)
        outcome.doubled += sum(count - 1 for count in counts.values())
        outcome.changed += sum(theirs.get(key, "nothing") != value for key, value in ours["records"])
        for part, value in run["parts"].items():
            if part not in ours["parts"]:
                outcome.lost += 1
            elif ours["parts"][part] != value:
                outcome.changed += 1


def _records(path: Path) -> list[tuple[tuple[Any, Any], str]]:
    """Return the records as ((step, metric), value). A line that is no record counts as changed, too."""
    records = []
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
            records.append(((record["step"], record["metric"]), repr(record["value"])))
        except (ValueError, KeyError, TypeError):
            records.append(((f"line {number}", ""), repr(line)))
    return records


def _parts(name: str, content: dict[str, Any] | None, keys: Iterable[str]) -> dict[str, str]:
    return {} if content is None else {f"{name}.{key}": repr(content[key]) for key in keys if key in content}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _arrays(path: Path) -> dict[str, str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {f"samples.{name}": f"{a.dtype}{a.shape}{a.tobytes().hex()}" for name, a in archive.items()}
    except Exception:
        # Damaged bytes make zip, zlib and NumPy raise nearly anything.
        return {}
