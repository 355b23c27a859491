"""Tables of classifiers against the network without a constraint: differences of means, and which are significant."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.reading.comparisons import COMPARISON
from lipschitz.report.reading.metric_names import heading, parse_metric
from lipschitz.report.statistics.against_none import BASELINE, NONE
from lipschitz.report.statistics.significance import LEVEL
from lipschitz.report.tables.generalization_gap import LEVELS
from lipschitz.report.tables.image_notes import images_of
from lipschitz.report.tables.robust_accuracy import ROBUST, epsilon_column
from lipschitz.report.tables.table import Cell, Column

_AT_ACCURACY = "accuracy_gap_at_train_accuracy"
_TITLES = {"accuracy": "Accuracy and gap", _AT_ACCURACY: "Gap where all fit equally", **ROBUST}
"""By base of the first metric of a table: what its title calls the table."""
_CAPTION = (
    "Difference of the means after the last step, method less reference, and the size of Hedges' g. {references} Bold: "
    "significant at 5 % by Welch's test with Holm's correction for all {tests} of a column on this data set. Not "
    "tested: fewer than two seeds, a diverged or failed seed, or one that never reached a level. n: seeds of the "
    "method and of its reference. p-values: significance.csv."
)
_REFERENCES = {
    NONE: "none: without a constraint, of the same model, loss and setting.",
    BASELINE: "baseline: without a constraint, of the first model: {model}, {loss} loss, setting {setting}.",
}


class Part(NamedTuple):
    """A table without its first columns: each line belongs to the configuration at ``place`` of the section."""

    title: str
    columns: list[Column]
    lines: list[tuple[int, list[Cell]]]
    caption: str


def parts(
    group: pd.DataFrame, tests: pd.DataFrame, shown: Mapping[str, str], counts: Mapping[str, int]
) -> Iterator[Part]:
    """Yield the tables of a section, none where nothing was tested: accuracy and gap, PGD, certified.

    Args:
        group: one row a configuration, with its labels.
        tests: of the data set, as `lipschitz.report.statistics.against_none` returns them.
        shown: display names by label.
        counts: by metric, of how many images it is.
    """
    labels = ["constraint", *(name for name in COMPARISON if name not in ("task", "dataset"))]
    place_of = {key: place for place, key in enumerate(group[labels].itertuples(index=False, name=None))}
    keys = list(tests[labels].itertuples(index=False, name=None))
    own = tests.assign(place=[place_of.get(key, -1) for key in keys])
    own = own[own["place"] >= 0]
    for first, title in _TITLES.items():
        columns = {name: column for name in own["metric"].unique() if (column := _column(str(name), first))}
        rows = own[own["metric"].isin(columns)]
        if len(rows):
            images = images_of(counts, columns)
            caption = _caption(rows, shown) + (f" Shares of {images}." if images else "")
            yield Part(f"{title} against none", *_lines(rows, columns), caption)


def _column(metric: str, first: str) -> Column | None:
    """Return the column of ``metric`` in the table that begins with the base ``first``; None if it is in another."""
    name = parse_metric(metric)
    if metric in LEVELS:
        return LEVELS[metric] if first == _AT_ACCURACY else None
    if name.base != first:
        return Column(heading(metric)) if (first, name.base) == ("accuracy", "accuracy_gap") else None
    if name.base == "accuracy":
        return Column(heading(metric))
    return epsilon_column(metric)


def _lines(rows: pd.DataFrame, columns: Mapping[str, Column]) -> tuple[list[Column], list[tuple[int, list[Cell]]]]:
    heads = [Column("Against", numeric=False), Column("n"), *columns.values()]
    lines = []
    of_line: dict[tuple[int, bool], dict[str, dict[Any, Any]]] = {}
    for row in rows.to_dict("records"):
        of_line.setdefault((row["place"], row["against"] == BASELINE), {})[row["metric"]] = row
    for (place, is_baseline), tests in sorted(of_line.items(), key=lambda item: item[0]):
        seeds = "; ".join(dict.fromkeys(f"{test['n']}, {test['reference_n']}" for test in tests.values()))
        cells = [_cell(tests[name]) if name in tests else Cell(MISSING) for name in columns]
        lines.append((place, [Cell(BASELINE if is_baseline else NONE), Cell(seeds), *cells]))
    return heads, lines


def _cell(test: Mapping[Any, Any]) -> Cell:
    sign, size = "+" if test["difference"] > 0 else "", abs(test["g"])
    text = f"{sign}{show(test['difference'], 2)} (g {show(size) if math.isinf(size) else f'{size:.1f}'})"
    return Cell(text, bool(test["p_holm"] < LEVEL))


def _caption(rows: pd.DataFrame, shown: Mapping[str, str]) -> str:
    numbers = sorted(set(rows["tests"]))
    tests = f"{' to '.join(map(str, dict.fromkeys([numbers[0], numbers[-1]])))} tests"
    references = []
    for against, text in _REFERENCES.items():
        found = rows[rows["against"] == against]
        if len(found):
            names = {name: found[f"reference_{name}"].iloc[0] for name in ("model", "loss", "setting")}
            references.append(text.format(**{name: shown.get(label, label) for name, label in names.items()}))
    return _CAPTION.format(references=" ".join(references), tests=tests)
