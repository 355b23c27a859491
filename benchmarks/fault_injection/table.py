"""Write the results of all tries: a table in Markdown and CSV, and a page that says how it was made."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from result_files import markdown_table, provenance_lines

from fault_injection.fault import Fault
from fault_injection.outcome import Outcome, without_paths
from lipschitz.files import write_text

HEADINGS = (
    "fault", "allowed", "tries", "happened", "lost", "doubled", "changed", "tracebacks", "unclear", "as allowed",
    "message of a try", "commit",
)  # fmt: skip
COUNTS = ("tries", "lost", "doubled", "changed", "tracebacks", "unclear")
SHOWN = 160
"""Most characters of an example."""


EXPLANATION = """\
[table.md](table.md) and [table.csv](table.csv) have a row for each fault. A try copies a tiny sweep, new, half-way or
finished (points: three methods, 80 steps; or 8x8 images of noise: two seeds, 20 steps), and disturbs it at a moment
or place that is drawn from the number of the try. It then does what a user would do: read the message, mend what it
names, and run the command again. At the end every run is compared with an undisturbed sweep of the same file.

- **lost, doubled, changed**: records (step, metric, value), fields of results and definitions, and arrays of samples
  that differ from the undisturbed sweep in any bit. Times are not compared.
- **happened**: *equal*: done or resumed without help; *accepted*: an input that is harmless was taken; *refused*:
  exit code 2 with one line; *failed alone*: a run failed, and the others are equal; *stopped*: the sweep stopped with
  one line; *named*: the damage was named by sweep, status, report or verify; *waited*: it said for whom it waits.
  Except for the first two, the mending that the line asks for follows, and then the comparison. *silent*, *hung*,
  *exit N*: none of these.
- **tracebacks**: on stdout or stderr. **unclear**: messages of more than 200 characters besides paths and ids of
  runs, or with control characters.
- **allowed**: what may happen, stated in the script before the tries. **as allowed**: whether every try did, with
  nothing lost, doubled or changed, without a traceback, and with clear messages only.
- **commit**: of the code that was tried. A fault that did not end as allowed was mended, in the package or in the
  script, and its row measured again; the history of this folder has the earlier rows.

Processes are real: parents, fork servers and workers. They are forked from a process that has imported everything, so
that a try takes seconds; "SIGINT in the first seconds" starts the interpreter anew. Faults of files are tried in one
process. Linux only.
"""


class Row(NamedTuple):
    """A fault and the outcomes of its tries."""

    fault: Fault
    outcomes: list[Outcome]
    seconds: float

    @property
    def is_as_allowed(self) -> bool:
        """Whether every try ended as allowed, and nothing was lost, doubled, changed or unclear."""
        return bool(self.made) and all(self._is_fine(outcome) for outcome in self.made)

    @property
    def made(self) -> list[Outcome]:
        """The tries that could be made here."""
        return [outcome for outcome in self.outcomes if not outcome.where]

    def _is_fine(self, outcome: Outcome) -> bool:
        counts = (outcome.lost, outcome.doubled, outcome.changed, outcome.tracebacks, len(outcome.unclear))
        return outcome.how in self.fault.allowed and not any(counts)

    def cells(self) -> dict[str, Any]:
        """Return the cells by heading."""
        made = self.made
        happened = Counter(outcome.how for outcome in made)
        example = next((o.unclear[0] for o in made if o.unclear), "") or next(
            (o.message for o in made if o.message), ""
        )
        verdict = "yes" if self.is_as_allowed else "NO" if made else f"not tried: {self.outcomes[0].where}"
        return {
            "fault": self.fault.title,
            "allowed": ", ".join(self.fault.allowed),
            "tries": len(made),
            "happened": ", ".join(f"{how} {count}" for how, count in happened.most_common()),
            "lost": sum(outcome.lost for outcome in made),
            "doubled": sum(outcome.doubled for outcome in made),
            "changed": sum(outcome.changed for outcome in made),
            "tracebacks": sum(outcome.tracebacks for outcome in made),
            "unclear": sum(len(outcome.unclear) for outcome in made),
            "as allowed": verdict,
            "message of a try": _shown(example),
            "seconds": round(self.seconds, 1),
        }


def write(folder: Path, rows: Sequence[Row], provenance: dict[str, Any], names: Sequence[str]) -> None:
    """Write ``table.md``, ``table.csv`` and ``README.md``.

    Rows that an earlier call has written are kept, each with its commit, unless they are measured again; ``names`` are
    the faults in the order of the table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    commit = f"{str(provenance['commit'])[:8]}{' with changes' if provenance['dirty'] else ''}"
    measured = {str(row.cells()["fault"]): {**row.cells(), "commit": commit} for row in rows}
    found = {**_earlier(folder / "table.csv"), **measured}
    cells = [found[name] for name in names if name in found]
    table = markdown_table(HEADINGS, *([_escaped(str(row[name])) for name in HEADINGS] for row in cells))
    write_text(folder / "table.md", "\n".join(["# Faults", "", *table, "", *provenance_lines(provenance)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*HEADINGS, "seconds"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    write_text(folder / "table.csv", text.getvalue())
    write_text(folder / "README.md", _page(cells, provenance))


def _earlier(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of an earlier call by fault."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["fault"]: row for row in csv.DictReader(file) if set(row) == {*HEADINGS, "seconds"}}


def _page(cells: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> str:
    made = [row for row in cells if int(row["tries"])]
    sums = {name: sum(int(row[name]) for row in made) for name in COUNTS}
    fine = [row["fault"] for row in made if row["as allowed"] == "yes"]
    others = [row["fault"] for row in made if row["as allowed"] != "yes"]
    lines = [
        "# Reliability",
        "",
        f"{len(made)} faults, {sums['tries']} tries in all: {len(fine)} faults ended as allowed in every try.",
        ", ".join(f"{name} {sums[name]}" for name in COUNTS[1:]).capitalize() + ".",
        "",
        *([f"Not as allowed: {'; '.join(others)}. [The table](table.md) says what happened.", ""] if others else []),
        EXPLANATION,
        f"Commits: {', '.join(sorted({row['commit'] for row in made}))}. Of the last call:",
        "",
        *provenance_lines({**provenance, "command": f"python benchmarks/{provenance['command']}"}),
    ]
    return "\n".join(lines)


def _shown(text: str) -> str:
    line = "".join(letter if letter.isprintable() else "�" for letter in without_paths(text))
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
