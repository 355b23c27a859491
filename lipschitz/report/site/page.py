"""Write an index page over several results folders: what they are, and the same methods side by side."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from lipschitz.errors import InputError
from lipschitz.files import write_text
from lipschitz.report.interactive.assets import SORTING, TABLE_SCRIPTS
from lipschitz.report.interactive.html import environment
from lipschitz.report.number_format import MISSING
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.reading.timing import STEP, TIMES
from lipschitz.report.site.reported_folder import ReportedFolder, read_folder
from lipschitz.report.statistics.intervals import MEANS, Interval
from lipschitz.report.statistics.summary import LARGEST_SIGMA
from lipschitz.report.style import ordered
from lipschitz.report.tables.table import Cell, Column, Table
from lipschitz.tasks.wording import floors

PAGE = "index.html"
_MORE = {
    "lipschitz_lower": "Lip(D), at least",
    "lipschitz_upper": "Lip(D), at most",
    LARGEST_SIGMA["sigma_reshaped"]: "Largest σ of a layer, reshaped kernel",
    LARGEST_SIGMA["sigma_operator"]: "Largest σ of a layer, operator",
    STEP: "Time of a discriminator step (ms)",
}
"""Metrics that are compared beside those of quality, with their headings."""


def write_site(folders: Sequence[Path], out: Path) -> Path:
    """Write ``index.html`` into ``out``, a page over results folders, and return its path.

    It is made from ``summary.csv``, ``sweep.json`` and ``provenance.json`` of each folder, and the steps from
    ``outcomes.csv`` or ``records.csv``. It links to the pages of the folders by relative paths.

    Raises:
        InputError: fewer than two folders, two of the same name, one that is no reported results folder, or an ``out``
            that is a file or a results folder.
    """
    if len(folders) < 2:
        raise InputError(f"--out {out}: is for a page over several results folders; expected two folders or more")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder for the page")
    if (out / "sweep.json").exists():
        raise InputError(f"--out {out}: is a results folder, whose page would be lost; expected another folder")
    _refuse_equal_names(folders)
    found = [read_folder(path) for path in folders]
    text = (
        environment()
        .get_template("site.html.j2")
        .render(
            folders=_table_of_folders(found),
            links={one.name: _link(one.path, out) for one in found},
            differences=_differences(found),
            sections=list(_sections(found)),
            means=MEANS,
            libraries=[SORTING],
            scripts=TABLE_SCRIPTS,
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PAGE, text)
    return out / PAGE


def _refuse_equal_names(folders: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for path in folders:
        name = path.resolve().name
        if name in names:
            raise InputError(f"{names[name]} and {path}: both are named {name}; expected folders of different names")
        names[name] = path


def _link(path: Path, out: Path) -> str:
    """Return the address of a folder's page, relative to ``out``; empty where it has none."""
    if not (path / PAGE).exists():
        return ""
    return quote(Path(os.path.relpath(path.resolve() / PAGE, out.resolve())).as_posix())


def _facts(one: ReportedFolder) -> dict[str, str]:
    """Return what the first table says of a folder, by head of the column."""
    provenance, methods = one.provenance, one.methods
    versions = provenance.get("versions", {})
    commit = str(provenance.get("commit") or MISSING)[:8] + (" with changes" if provenance.get("dirty") else "")
    counts = methods.loc[~methods["metric"].isin(TIMES), "n"]
    steps = sorted({number for numbers in one.steps.values() for number in numbers})
    return {
        "Folder": one.name,
        "Sweep": str(one.definition.get("name", MISSING)),
        "Task": ", ".join(map(str, methods["task"].unique())) or MISSING,
        "Data sets": ", ".join(one.shown("dataset", str(name)) for name in methods["dataset"].unique()),
        "Models": ", ".join(one.shown("model", str(name)) for name in methods["model"].unique()),
        "Methods": str(methods["constraint"].nunique()),
        "Seeds": str(int(counts.max())) if len(counts) else MISSING,
        "Steps": ", ".join(map(str, steps)) or MISSING,
        "Device": str(provenance.get("device", MISSING)),
        "Version": f"{versions.get('lipschitz', MISSING)}, commit {commit}",
        "torch": str(versions.get("torch", MISSING)),
        "Date": str(provenance.get("date", MISSING))[:10],
    }


def _table_of_folders(found: Sequence[ReportedFolder]) -> Table:
    facts = [_facts(one) for one in found]
    columns = [Column(head, numeric=head in ("Methods", "Seeds")) for head in facts[0]]
    return Table("", "", "", "Folders", columns, [[Cell(text) for text in one.values()] for one in facts], [])


def _differences(found: Sequence[ReportedFolder]) -> list[str]:
    """Return in what the folders differ, in the words of the first table."""
    facts = [_facts(one) for one in found]
    heads = [head for head in facts[0] if head not in ("Folder", "Sweep", "Date")]
    return [head.lower() for head in heads if len({one[head] for one in facts}) > 1]


def _sections(found: Sequence[ReportedFolder]) -> Iterator[dict[str, Any]]:
    """Yield title, notes and tables of each task and data set that two folders or more share."""
    keys = dict.fromkeys(
        key for one in found for key in one.methods[["task", "dataset"]].itertuples(index=False, name=None)
    )
    for task, dataset in keys:
        parts = [(one, _rows(one.values, task, dataset)) for one in found]
        parts = [(one, rows) for one, rows in parts if not rows.empty]
        if len(parts) < 2:
            continue
        axes = _axes([rows for _, rows in parts])
        tables = [_table(parts, axes, metric, task, dataset) for metric in _metrics(parts)]
        if tables:
            yield {
                "title": parts[0][0].shown("dataset", dataset),
                "tables": tables,
                "notes": _notes(parts, axes, dataset),
            }


def _rows(values: pd.DataFrame, task: str, dataset: str) -> pd.DataFrame:
    return values[(values["task"] == task) & (values["dataset"] == dataset)]


def _axes(parts: Sequence[pd.DataFrame]) -> list[str]:
    """Return the columns that name a row: the constraint, and in what the configurations of one folder differ."""
    return [
        "constraint",
        *(name for name in ("model", "loss", "setting") if any(rows[name].nunique() > 1 for rows in parts)),
    ]


def _metrics(parts: Sequence[tuple[ReportedFolder, pd.DataFrame]]) -> list[str]:
    """Return the metrics that two folders or more measured: those of quality, which have a floor, then `_MORE`."""
    of_folder = [dict.fromkeys(rows["metric"]) for _, rows in parts]
    has_floor = {name for _, rows in parts for name in rows.loc[rows["constraint"].isin(floors()), "metric"]}
    quality = dict.fromkeys(name for names in of_folder for name in names if name in has_floor)
    return [name for name in (*quality, *_MORE) if sum(name in names for names in of_folder) > 1]


def _table(
    parts: Sequence[tuple[ReportedFolder, pd.DataFrame]], axes: list[str], metric: str, task: str, dataset: str
) -> Table:
    """Return a table of methods by folders; the floor is the last row.

    Where some rows are in two folders or more, it has these alone, and the folders that share them.
    """
    by_folder = []
    for one, rows in parts:
        own = rows[rows["metric"] == metric].drop_duplicates(axes)
        if not own.empty:
            by_folder.append((one, {_key(row, axes): row for row in own.to_dict("records")}))
    count = Counter(key for _, rows in by_folder for key in rows)
    shared = {key for key, number in count.items() if number > 1 and key[0] not in floors()}
    keys = [key for key in count if not shared or key in shared or key[0] in floors()]
    if shared:
        by_folder = [(one, rows) for one, rows in by_folder if rows.keys() & shared]
    place = {name: at for at, name in enumerate([*ordered({key[0] for key in keys} - set(floors())), *floors()])}
    keys.sort(key=lambda key: (place[key[0]], key[1:]))
    title = _MORE.get(metric) or heading(metric)
    columns = [Column(name.capitalize(), numeric=False) for name in axes]
    columns += [Column(one.name, title) for one, _ in by_folder]
    cells = []
    for key in keys:
        names = [_shown([one for one, _ in by_folder], axis, label) for axis, label in zip(axes, key, strict=True)]
        cells.append([*map(Cell, names), *(Cell(_text(rows.get(key))) for _, rows in by_folder)])
    notes = [f"In one folder alone, and not shown: {len(count) - len(keys)} rows."] if len(count) > len(keys) else []
    return Table(task, dataset, "", title, columns, cells, notes)


def _key(row: Mapping[Any, Any], axes: Sequence[str]) -> tuple[str, ...]:
    """Return what names a row; the floor does not depend on what was trained."""
    name = str(row["constraint"])
    return (name, *("" if name in floors() else str(row[axis]) for axis in axes[1:]))


def _shown(folders: Sequence[ReportedFolder], axis: str, label: str) -> str:
    return next((text for one in folders if (text := one.shown(axis, label)) != label), label)


def _text(row: Mapping[Any, Any] | None) -> str:
    """Return a value with its interval and what became of its other seeds."""
    if row is None:
        return MISSING
    # Early versions wrote symmetric intervals alone.
    symmetric = Interval.around(row["mean"], row["ci95"], int(row["n"]))
    interval = Interval.of_row(row) if "low" in row else symmetric
    diverged = int(row["diverged"])
    return interval.text + (f" ({diverged} diverged)" if diverged else "")


def _notes(parts: Sequence[tuple[ReportedFolder, pd.DataFrame]], axes: Sequence[str], dataset: str) -> list[str]:
    """Return what the columns do not share: steps, and the parts of a configuration that are not in the rows."""
    found = {one.name: ", ".join(map(str, one.steps.get(dataset, []))) for one, _ in parts}
    notes = [_note("Steps", found)]
    for axis in ("model", "loss", "setting"):
        if axis not in axes:
            trained = [(one, rows[~rows["constraint"].isin(floors())]) for one, rows in parts]
            notes.append(
                _note(axis.capitalize(), {one.name: one.shown(axis, str(rows[axis].iloc[0])) for one, rows in trained})
            )
    return [note for note in notes if note]


def _note(head: str, by_folder: Mapping[str, str]) -> str:
    if len(set(by_folder.values())) < 2:
        return ""
    return f"{head}: " + "; ".join(f"{name}: {text or 'not known'}" for name, text in by_folder.items()) + "."
