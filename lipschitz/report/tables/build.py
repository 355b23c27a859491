"""Make the tables of each data set and model: what each method reached, what its constraint did, and its cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.reading.display_names import bare_name
from lipschitz.report.reading.image_counts import image_counts
from lipschitz.report.reading.metric_names import better, heading, parse_metric
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.tuning import PICKED
from lipschitz.report.statistics.against_none import compare_with_none
from lipschitz.report.statistics.significance import compare_with_best
from lipschitz.report.statistics.summary import RIVALS, Lookup, Summary
from lipschitz.report.statistics.time_to_target import Target
from lipschitz.report.tables import against_none
from lipschitz.report.tables.configurations import configurations_in_order
from lipschitz.report.tables.cost import COST_TABLE_ONLY, cost_columns, cost_notes
from lipschitz.report.tables.generalization_gap import GAP, GAP_NOTE, LEVELS_NOTE, gap_columns, level_columns
from lipschitz.report.tables.image_notes import image_notes
from lipschitz.report.tables.measurement_notes import measurement_notes
from lipschitz.report.tables.rank_correlation import CORRELATIONS, correlation_columns
from lipschitz.report.tables.robust_accuracy import ROBUST, ROBUST_NOTE, robust_columns
from lipschitz.report.tables.table import Cell, Column, Table, seeds_named
from lipschitz.report.tables.time_to_target import TimeToTarget
from lipschitz.tasks.wording import wording

_HEADS = {
    "model": "Model",
    "loss": "Loss",
    "setting": "Setting",
    PICKED: "Chosen setting",
    "steps": "Steps",
    "batch_size": "Batch",
}
"""By column that may vary in a table: its head."""
_Part = tuple[list[Column], list[list[Cell]]]
"""The columns of a table and their cells, row by row."""


def build(summary: Summary, targets: Sequence[Target] = (), tests: pd.DataFrame | None = None) -> list[Table]:
    """Return the tables of each (task, data set, model): an overview, quality, constraint and cost, time to target.

    The last are one for each of ``targets`` that was recorded there, or one for the default target. If a task compares
    models with each other, a table holds all models. W1 estimated by a critic has a table of its own. ``tests`` are
    those of `compare_with_none`, which are made if they are not given.
    """
    results = summary.results
    configurations = configurations_in_order(summary)
    shares_tables = configurations["task"].map(lambda task: wording(task).shares_tables)
    configurations["section"] = configurations["model"].mask(shares_tables, "")
    tables: list[Table] = []
    time_to_target = TimeToTarget(results, targets)
    # Folders that were converted from those of early versions do not hold the values of the best step.
    whichs = [which for which in ("last", "best") if which == "last" or (results.outcomes["which"] == which).any()]
    tests = compare_with_none(summary) if tests is None else tests
    for key, group in configurations.groupby(["task", "dataset", "section"], sort=False):
        task, dataset, model = map(str, key)
        labels = {"task": task, "dataset": dataset} | ({"model": model} if model else {})
        section = _Section(task, dataset, model, group, summary.lookup(labels), results)
        judging = _judging(summary.quality_metrics, section)
        critic_w1 = [name for name in summary.critic_w1_metrics if section.lookup.has(name)]
        quality, cost = section.measured(judging, whichs), cost_columns(group, section.lookup)
        notes = cost_notes(group, section.lookup, results.shown)
        measured = measurement_notes(group, section.lookup, results.shown)
        tables.append(section.table("Overview", _overview(quality, cost), notes=notes.step))
        floor = section.floor(judging, whichs) if judging else []
        images = image_notes(results, group, dataset) if section.lookup.has(GAP) else []
        tables.append(section.table("Quality", quality, floor, [*section.tested(judging[:1]), *images]))
        if section.lookup.has(GAP):
            tables += section.of_classifiers(tests, images)
        if critic_w1:
            true = f", true W1 {show(summary.true_w1[dataset][0])}" if dataset in summary.true_w1 else ""
            title = f"W1 by the critic after the last step{true}"
            tables.append(section.table(title, section.critic_w1(critic_w1), section.floor(critic_w1, ["last"])))
        tables.append(
            section.table("Constraint and cost", cost, notes=[*notes.step, *notes.cost_table_only, *measured])
        )
        for part in time_to_target.parts(group, section.lookup, judging, section.rivals, section.where):
            rows = section.labelled_rows(part.cells)
            columns = section.label_columns + part.columns
            tables.append(Table(task, dataset, model, part.title, columns, rows, section.notes, part.caption))
    return tables


@dataclass(frozen=True)
class _Section:
    """The configurations of one section of the page, one row each in ``group``; ``model`` is empty for several."""

    task: str
    dataset: str
    model: str
    group: pd.DataFrame
    lookup: Lookup
    results: Results

    @cached_property
    def varying(self) -> dict[str, str]:
        """The heads of the columns in which the configurations differ."""
        return {name: head for name, head in self._heads.items() if self.group[name].nunique() > 1}

    @property
    def _heads(self) -> dict[str, str]:
        return {name: head for name, head in _HEADS.items() if name != "model" or not self.model}

    @cached_property
    def where(self) -> str:
        """Data set, model and what all configurations share, for titles."""
        first, shown = self.group.iloc[0], self.results.shown
        shared = ", ".join(
            f"{head.lower()} {shown(str(first[name]))}"
            for name, head in self._heads.items()
            if name not in self.varying and first[name]
        )
        return ", ".join(filter(None, [shown(self.dataset), self.model])) + (f" ({shared})" if shared else "")

    @property
    def label_columns(self) -> list[Column]:
        """The first columns, which name the configurations."""
        return [Column(head, numeric=False) for head in ("Constraint", *self.varying.values())]

    def labelled_rows(self, cells: list[list[Cell]]) -> list[list[Cell]]:
        """Return rows of cells after the cells that name their configurations."""
        return [left + right for left, right in zip(self.labels, cells, strict=True)]

    @cached_property
    def labels(self) -> list[list[Cell]]:
        """The first cells of each row, which name its configuration."""
        names = ["constraint", *self.varying]
        shown = {label: name for names in self._short.values() for label, name in names.items()}
        return [
            [Cell(shown.get(str(row[name]), self.results.shown(str(row[name])))) for name in names]
            for row in self.group.to_dict("records")
        ]

    @cached_property
    def _short(self) -> dict[str, dict[str, str]]:
        """By head of a column of settings, the name without arguments of each label, where these are all distinct."""
        found = {}
        for name in [one for one in ("setting", PICKED) if one in self.varying]:
            shown = {label: self.results.shown(label) for label in map(str, self.group[name].unique())}
            short = {label: bare_name(text) for label, text in shown.items()}
            if len(set(short.values())) == len(short) and short != shown:
                found[self.varying[name]] = short
        return found

    @cached_property
    def notes(self) -> list[str]:
        """What every table of the section says under it."""
        not_ended = {status: int(self.group[status].sum()) for status in ("failed", "running", "waiting")}
        runs = ", ".join(f"{number} {status}" for status, number in not_ended.items() if number)
        notes = [f"Not included, because they did not end: {runs}."] if runs else []
        for head, short in self._short.items():
            texts = [f"{name} is {self.results.shown(label)}" for label, name in short.items() if label != name]
            notes.append(f"{head}: {'; '.join(texts)}.")
        if wording(self.task).shares_tables:
            notes.append("Nothing is bold where budgets differ.")
        return notes

    @cached_property
    def rivals(self) -> list[pd.DataFrame]:
        """The sets of rows that are compared for the best: critics of any network if they have the same budget."""
        if not wording(self.task).shares_tables:
            return [rows for _, rows in self.group.groupby(RIVALS, sort=False)]
        shared = [rows for _, rows in self.group.groupby(["loss", "setting"], sort=False)]
        return [rows for rows in shared if rows["budget"].nunique() == rows["batch_size"].nunique() == 1]

    def table(self, title: str, part: _Part, floor: Sequence[list[Cell]] = (), notes: Sequence[str] = ()) -> Table:
        """Return a table of the section; the row of the floor comes last."""
        columns, cells = part
        rows = [*self.labelled_rows(cells), *floor]
        title, columns = f"{title}: {self.where}", self.label_columns + columns
        return Table(self.task, self.dataset, self.model, title, columns, rows, [*self.notes, *notes])

    def measured(self, metrics: list[str], whichs: list[str]) -> _Part:
        """Return n, the diverged seeds, and each metric after the last or the best step."""
        columns = [Column("n"), Column("Diverged")]
        columns += [Column(which, heading(metric)) for metric in metrics for which in whichs]
        values = [(metric, which) for metric in metrics for which in whichs]
        best = {
            (metric, which): {index for rows in self.rivals for index in self.lookup.best(rows, metric, which)}
            for metric, which in values
        }
        cells = []
        for index, row in self.group.iterrows():
            line = [Cell(str(row["finished"])), Cell(str(row["diverged"]))]
            for metric, which in values:
                interval = self.lookup.interval(row, metric, which)
                line.append(Cell(seeds_named(interval, row["finished"]), index in best[metric, which]))
            cells.append(line)
        return columns, cells

    def tested(self, metrics: Sequence[str]) -> list[str]:
        """Return a note for each metric and set of rivals: which methods are significantly worse than the best one."""
        return [text for metric in metrics for rows in self.rivals if (text := self._tested(metric, rows))]

    def _tested(self, metric: str, rows: pd.DataFrame) -> str:
        direction, rows = better(metric), rows[rows["diverged"] + rows["failed"] == 0]
        compared = direction and compare_with_best(
            [self.lookup.interval(row, metric) for _, row in rows.iterrows()], direction == "lower"
        )
        if not compared:
            return ""
        names = [self.results.shown(str(name)) for name in rows["constraint"]]
        worse = ", ".join(f"{names[place]} (g = {size:.1f})" for place, size in compared.worse) or "no method"
        similar = ", ".join(names[place] for place in compared.similar) or "no method"
        pairs = f"Holm's correction for {compared.pairs} pairs" if compared.pairs > 1 else "one pair"
        return (
            f"{heading(metric)} after the last step, Welch's test at 5 % with {pairs}: the best mean is that of "
            f"{names[compared.best]}. Significantly worse: {worse}. Not told apart from it: {similar}. g: the "
            "difference of means in pooled standard deviations (Hedges). Methods with a diverged or failed seed are "
            "not tested."
        )

    def correlations(self) -> list[Table]:
        """Return the table of spectral measures against the generalisation gap; none if there are too few methods."""
        columns, cells = correlation_columns(self.results, self.group)
        title = f"Spectral measures and the generalisation gap: {self.where}"
        notes = self.notes
        return [Table(self.task, self.dataset, self.model, title, columns, cells, notes, CORRELATIONS)] if cells else []

    def of_classifiers(self, tests: pd.DataFrame, images: list[str]) -> list[Table]:
        """Return the gap, also where all fit equally, correlations with it, robust accuracy, and tests against none."""
        gap = self.table("Generalisation gap", gap_columns(self.group, self.lookup), notes=[GAP_NOTE])
        parts = [("Generalisation gap where all fit equally", level_columns(self.group, self.lookup), [LEVELS_NOTE])]
        parts += [
            (title, robust_columns(self.group, self.lookup, base), [ROBUST_NOTE, *images])
            for base, title in ROBUST.items()
        ]
        tables = [self.table(title, part, notes=notes) for title, part, notes in parts if part[0]]
        return [gap, *tables, *self.correlations(), *self.against_none(tests)]

    def against_none(self, tests: pd.DataFrame) -> list[Table]:
        """Return the tables of differences from the network without a constraint; none if nothing was tested."""
        own, tables = tests[tests["dataset"] == self.dataset], []
        counts = image_counts(self.results, self.dataset)
        for part in against_none.parts(self.group, own, self.results.names, counts):
            rows = [self.labels[place] + cells for place, cells in part.lines]
            title, columns = f"{part.title}: {self.where}", self.label_columns + part.columns
            tables.append(Table(self.task, self.dataset, self.model, title, columns, rows, self.notes, part.caption))
        return tables

    def critic_w1(self, metrics: list[str]) -> _Part:
        """Return W1 by the critics after the last step, unscaled and over either bound on Lip(D)."""
        columns, cells = self.measured(metrics, ["last"])
        heads = {
            "w1_dual": "as it is",
            "w1_over_lower": "over the lower bound on Lip(D)",
            "w1_over_upper": "over the upper bound on Lip(D) ↑",
        }
        names = [parse_metric(metric) for metric in metrics]
        return [*columns[:2], *(Column(heads[name.base] + name.qualifier, "W1 by the critic") for name in names)], cells

    def floor(self, metrics: list[str], whichs: list[str]) -> list[list[Cell]]:
        """Return the row of real data, or of an optimal potential: it was not trained, so it has no best step."""
        name = wording(self.task).floor
        found = [self.lookup.floor(name, metric) for metric in metrics]
        seeds = max((interval.n for interval in found if interval), default=0)
        empty = [Cell("")] * (len(whichs) - 1)
        texts = [Cell(interval.text if interval else MISSING) for interval in found]
        values = [cell for text in texts for cell in (text, *empty)]
        return [[Cell(name), *[Cell("")] * len(self.varying), Cell(str(seeds)), Cell(""), *values]]


def _judging(metrics: list[str], section: _Section) -> list[str]:
    """Return the metrics of quality that were measured and that the task's tables show."""
    places = wording(section.task).judged_places
    measured = [name for name in metrics if section.lookup.has(name)]
    return [name for name in measured if not places or parse_metric(name).place in places]


def _overview(quality: _Part, cost: _Part) -> _Part:
    """Return n, diverged, the first metric after the last step, and the columns of cost without `COST_TABLE_ONLY`."""
    kept = [place for place, column in enumerate(cost[0]) if column.over not in COST_TABLE_ONLY]
    columns = [*quality[0][:3], *(cost[0][place] for place in kept)]
    cells = zip(quality[1], cost[1], strict=True)
    return columns, [[*left[:3], *(right[place] for place in kept)] for left, right in cells]
