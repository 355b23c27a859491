"""Write a benchmark's JSON file and Markdown table with their provenance, and read the results of an earlier call."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipschitz.files import write_json, write_text


def write_result(
    folder: Path,
    name: str,
    result: dict[str, Any],
    text: str,
    rows: Iterable[Iterable[str]],
    table: str = "table.md",
) -> None:
    """Write ``<folder>/<name>.json``, and the file ``table`` with the text, the rows and the provenance.

    ``result`` holds ``provenance``. The first of the ``rows`` holds the headings.
    """
    lines = [text, "", *markdown_table(*rows), "", *provenance_lines(result["provenance"])]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", result)
    write_text(folder / table, "\n".join(lines))


def markdown_table(headings: Iterable[str], *rows: Iterable[str]) -> list[str]:
    """Return the lines of a Markdown table."""
    headings = list(headings)
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)]


def provenance_lines(provenance: dict[str, Any]) -> list[str]:
    """Return the device, versions, commit, date and command of a measurement, as the last lines of a Markdown file."""
    versions = ", ".join(f"{package} {version}" for package, version in provenance["versions"].items())
    commit = f"{provenance['commit'] or 'none'}{' with changes' if provenance['dirty'] else ''}"
    return [
        f"Device: {provenance['device']}. Versions: {versions}.",
        "",
        f"Commit: {commit}. Date: {provenance['date']}. Command: `{_as_typed(provenance['command'])}`.",
        "",
    ]


def _as_typed(command: str) -> str:
    """Return a command as it is typed in the repository: that of a script of this folder is its name alone."""
    script = Path(__file__).parent / command.partition(" ")[0]
    return f"python benchmarks/{command}" if script.is_file() else command


def earlier_result(path: Path, result: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an earlier call wrote to ``path``, if it was measured under the conditions of ``result``.

    Returns None if the file is missing or damaged, or if commit, device, workload or versions differ.
    """
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return earlier if _same_conditions(earlier, result) else None


def _same_conditions(earlier: dict[str, Any], now: dict[str, Any]) -> bool:
    """Check for the same commit without local changes, the same device and the same workload.

    Only packages that both results name must have the same version: a call may leave out a library.
    """
    ours, theirs = now["provenance"], earlier["provenance"]
    versions = all(theirs["versions"].get(name, version) == version for name, version in ours["versions"].items())
    same = versions and all(theirs.get(key) == ours[key] for key in ("commit", "device"))
    clean = ours["dirty"] is False and theirs["dirty"] is False
    return bool(same and clean and earlier["workload"] == now["workload"])
