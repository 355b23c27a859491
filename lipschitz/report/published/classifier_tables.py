"""Build tables of classifiers, published and ours: accuracy, accuracy under attack, certified accuracy, in percent."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.report.number_format import MISSING
from lipschitz.report.published.image_tables import KINDS, differences_note
from lipschitz.report.published.images import matching_configurations
from lipschitz.report.published.verdicts import YES_NO, Verdict, count_verdicts, verdict
from lipschitz.report.published.work import PublishedMethod, PublishedWork, read_published_work, works_on_classifiers
from lipschitz.report.reading.image_counts import image_counts
from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import MEAN, PREDICTION, Interval, aggregate
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import ordered
from lipschitz.report.tables.table import Cell, Column, Table

NOT_MEASURED = "not measured"
CAPTION = (
    f"In percent of test images. Paper: as published. Ours: mean after the last step ± {MEAN.name} over the n training "
    f"seeds that finished. {NOT_MEASURED.capitalize()}: no run of this sweep is of the method. Rows without a "
    "published value are our other methods on the same data and network. As published: no means that a run differs "
    "from the published one; the note says how, and this may be the whole reason for another value."
)
_SIDES = ("paper", "ours")
_LABELS = {"model": "Model", "loss": "Loss", "setting": "Setting"}


class _Value(NamedTuple):
    """In percent: the mean over seeds with its interval, and the ends of the interval for one new seed."""

    interval: Interval
    predicted: tuple[float, float]


def tables(summary: Summary) -> list[Table]:
    """Return a table for each published work, data set and network that an ended configuration of the sweep matches."""
    results = summary.results
    found = []
    for work in map(read_published_work, works_on_classifiers()):
        ours = matching_configurations(results, work)
        if len(ours):
            ended = ours[(ours["finished"] + ours["diverged"]) > 0]
            found += [_table(results, work, rows) for _, rows in ended.groupby(["dataset", "network"], sort=False)]
    return found


def _table(results: Results, work: PublishedWork, ours: pd.DataFrame) -> Table:
    network, dataset = ours["network"].iloc[0], results.shown(ours["dataset"].iloc[0])
    printed = _printed(work, ours["name"].iloc[0], network)
    values = _values(results, work, ours)
    varying = {name: head for name, head in _LABELS.items() if ours[name].nunique() > 1}
    columns = [Column("Method", numeric=False), Column("Constraint", numeric=False)]
    columns += [Column(head, numeric=False) for head in varying.values()]
    columns += [*(Column(head, "Steps") for head in _SIDES), Column("n"), Column("Diverged")]
    columns += [Column(head, over) for over in work.heads.values() for head in _SIDES]
    columns.append(Column("As published", numeric=False))
    lines = []
    for method, row in _rows(work, ours, list(printed)):
        own = {} if row is None else {name: values.get((row["configuration"], name)) for name in work.heads}
        labels = [NOT_MEASURED, *[MISSING] * len(varying)]
        if row is not None:
            labels = [results.shown(row[name]) for name in ("constraint", *varying)]
        theirs = printed.get(method.name, {})
        line = [method.name or MISSING, *labels, str(method.iterations or MISSING) if theirs else MISSING]
        line += [MISSING] * 3 if row is None else [str(row[name]) for name in ("steps", "finished", "diverged")]
        for name in work.heads:
            value = own.get(name)
            line += [theirs.get(name, MISSING), MISSING if value is None else value.interval.text]
        lines.append([*line, YES_NO[bool(row["differs"])] if row is not None and theirs else MISSING])
    title = f"Classifiers, published and ours: {network} on {dataset}, {work.source}"
    notes = [*_verdicts(work, ours, values), *_notes(results, work, ours)]
    return Table("", "", "", title, columns, [[Cell(text) for text in line] for line in lines], notes, CAPTION)


def _printed(work: PublishedWork, dataset: str, network: str) -> dict[str, dict[str, str]]:
    """Return by method, in the published order, its values by metric as text."""
    values = work.values[(work.values["dataset"] == dataset) & (work.values["network"] == network)]
    found: dict[str, dict[str, str]] = {}
    for row in values.itertuples():
        found.setdefault(str(row.method), {})[str(row.metric)] = str(row.printed)
    return found


def _rows(
    work: PublishedWork, ours: pd.DataFrame, published: list[str]
) -> list[tuple[PublishedMethod, dict[str, Any] | None]]:
    """Return each published method with each of our configurations of it, or with None; then our other ones."""
    place = {name: index for index, name in enumerate(ordered(ours["constraint"]))}
    methods = [one for one in work.methods if one.network == ours["network"].iloc[0]]
    found: list[tuple[PublishedMethod, dict[str, Any] | None]] = []
    for method in methods:
        own = ours[ours["method"] == method.name].reset_index().to_dict("records")
        own.sort(key=lambda row: place[row["constraint"]])
        rows = [{str(key): value for key, value in row.items()} for row in own]
        found += [(method, row) for row in rows]
        if not rows and method.name in published:
            found.append((method, None))
    return found


def _values(results: Results, work: PublishedWork, ours: pd.DataFrame) -> dict[tuple[str, str], _Value]:
    """Return by configuration and metric its value after the last step."""
    last = results.labelled(results.outcomes[results.outcomes["which"] == "last"], ["configuration", "status"])
    last = last[(last["status"] == "finished") & last["configuration"].isin(ours.index)]
    # A configuration has one protocol, so that the protocol's name can be dropped.
    last = last.assign(metric=last["metric"].map(lambda name: parse_metric(name).recorded), value=100 * last["value"])
    found = aggregate(last[last["metric"].isin(work.heads)], ["configuration", "metric"]).to_dict("records")
    return {
        (row["configuration"], row["metric"]): _Value(
            Interval.of_row(row), (row["predicted_low"], row["predicted_high"])
        )
        for row in found
    }


def _verdicts(work: PublishedWork, ours: pd.DataFrame, values: Mapping[tuple[str, str], _Value]) -> list[str]:
    """Return a line for each metric: how many published values lie where one new seed of ours would."""
    keys = zip(*(work.values[name] for name in ("dataset", "network", "method", "metric")), strict=True)
    published = dict(zip(keys, work.values["value"], strict=True))
    texts = []
    for name, head in work.heads.items():
        judged = []
        for row in ours.reset_index().to_dict("records"):
            key, own = (row["name"], row["network"], row["method"], name), values.get((row["configuration"], name))
            if key in published and own is not None:
                found = verdict(published[key], own.interval.mean, own.predicted, own.interval.n)
                judged.append((Verdict(MISSING, found.predicted), not row["differs"]))
        if judged:
            texts.append(f"{head}: {count_verdicts(judged, KINDS)}")
    return [*texts, f"{PREDICTION.short.capitalize()}: {PREDICTION.formula}."] if texts else []


def _notes(results: Results, work: PublishedWork, ours: pd.DataFrame) -> list[str]:
    """Return source and protocol, numbers of images and seeds, and the differences of our runs."""
    texts = [f"Published: {work.source}; {work.protocol}. {work.iterations}."]
    if work.released:
        texts.append(f"Released code: {work.released}.")
    counts = image_counts(results, ours["dataset"].iloc[0])
    images = {head: counts[name] for name, head in work.heads.items() if name in counts}
    if images:
        own = ", ".join(f"{count} ({head})" for head, count in images.items())
        texts.append(f"Test images: {work.images} published; ours {own}.")
    seeds = sorted(map(int, ours["finished"].unique()))
    texts.append(f"Training seeds: one published; ours {' to '.join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))}.")
    rows = [{str(key): value for key, value in row.items()} for row in ours.to_dict("records")]
    named = [row | {"method": row["method"] or results.shown(row["constraint"])} for row in rows]
    return texts + differences_note(results, named)
