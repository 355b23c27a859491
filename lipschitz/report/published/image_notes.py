"""What a reader must know of a comparison with published GANs of images."""

from typing import Any

import pandas as pd

from lipschitz.report.published.images import others
from lipschitz.report.published.work import PublishedWork
from lipschitz.report.reading.results import Results

_BEST_OF_SEVERAL = (
    "On {networks} a published value is of the best of several settings, picked, for all that is said, on the very "
    "trainings that are reported, and so better than a new training there may be expected to be; ours is the mean of "
    "the setting shown over seeds by which nothing was picked. Even the same procedure would thus, on average, come "
    "out worse here than published: the prediction interval is of our seeds alone, and need not hold such a value."
)


def notes(results: Results, work: PublishedWork, metric: str, rows: pd.DataFrame) -> list[str]:
    """Return who published what, which runs of ours stand for it, how settings were chosen, and what differs.

    Args:
        sweep: what was run.
        work: what was published.
        metric: what the table is of.
        rows: the configurations in it, as `images.configurations` has them, with the ``mean`` that they reached.
    """
    found = [{str(key): value for key, value in row.items()} for row in rows.reset_index().to_dict("records")]
    said = [f"Published: {work.source}; {work.protocol}. {work.iterations}. What stands after ±: {work.spread}."]
    said.append(f"What is what here: {_called(results, found)}.")
    return said + _settings(found) + _differing(results, found) + _by_others(results, work, metric, found)


def _called(results: Results, rows: list[dict[str, Any]]) -> str:
    """Return, method by method, which runs of ours stand for it."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        ours = f"{results.shown(row['constraint'])} with the {row['loss']} loss on {results.shown(row['model'])}"
        found.setdefault(f"{row['method']} on {row['network']}", {})[ours] = None
    return "; ".join(f"{name}: {' and '.join(ours)}" for name, ours in found.items())


def _settings(rows: list[dict[str, Any]]) -> list[str]:
    """Say by what settings were chosen, and that they were not where a method has several."""
    said = []
    if choices := [row["chosen"] for row in rows if row["chosen"]]:
        by = ", ".join(dict.fromkeys(str(choice["metric"]) for choice in choices))
        seeds = ", ".join(map(str, sorted({seed for choice in choices for seed in choice["seeds"]})))
        said.append(f"Chosen: the setting that did best by {by} on seeds {seeds}, which are in no mean.")
    settings: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        key = tuple(str(row[name]) for name in ("dataset", "model", "method", "constraint"))
        settings.setdefault(key, set()).add(row["setting"])
    if any(len(found) > 1 for found in settings.values()):
        said.append("Where a method has several settings none was chosen on other seeds: the best of them is biased.")
    if tried := list(dict.fromkeys(row["network"] for row in rows if row["tried"])):
        said.append(_BEST_OF_SEVERAL.format(networks=" and ".join(tried)))
    return said


def _differing(results: Results, rows: list[dict[str, Any]]) -> list[str]:
    """Say what was run otherwise than published, and in which rows."""
    common = [text for text in rows[0]["differs"] if all(text in row["differs"] for row in rows)]
    where: dict[tuple[str, ...], dict[str, None]] = {tuple(common): {"every row": None}}
    for row in rows:
        own = tuple(text for text in row["differs"] if text not in common)
        place = f"{row['method']} on {results.shown(row['dataset'])}, {row['network']}"
        where.setdefault(own, {})[place] = None
    parts = [f"{' and '.join(places)}: {', '.join(texts)}" for texts, places in where.items() if texts]
    return [f"Otherwise than published: {'; '.join(parts)}."] if parts else []


def _by_others(results: Results, work: PublishedWork, metric: str, rows: list[dict[str, Any]]) -> list[str]:
    """Name what stands in other tables, measured by another protocol, of rows that have nothing here."""
    lacking = [row for row in rows if pd.isna(row["mean"]) and row["finished"]]
    found = {
        f"{name} on {results.shown(row['dataset'])}": None
        for row in lacking
        for name in others(results, work, metric, row["configuration"])
    }
    return [f"Measured by another protocol, which compares with nothing here: {', '.join(found)}."] if found else []
