"""Write the HTML page of a report: tables, figures, protocols and provenance in one file that needs no network."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup, escape

from lipschitz.errors import printable
from lipschitz.metrics.description import Description
from lipschitz.report.interactive.assets import CHARTS, FIGURE_SCRIPTS, SORTING, TABLE_SCRIPTS
from lipschitz.report.interactive.figure_data import as_script, figure_data
from lipschitz.report.interactive.html import environment
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.final_quality import final_quality
from lipschitz.report.plots.gallery import Picture
from lipschitz.report.reading.comparisons import Comparison, comparisons, flatten
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.reading.results import Results
from lipschitz.report.references import Citation
from lipschitz.report.statistics.against_none import is_tested_task
from lipschitz.report.statistics.final_quality import Contest, FinalQuality
from lipschitz.report.statistics.intervals import MEANS
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.table import CAPTION, Table
from lipschitz.tasks.wording import Wording, wording

_MOST_DATASETS = 2
"""Data sets whose final quality is shown before the reader asks for more."""
_MOST_ROWS = 40
"""Rows of tables in sections that are open at first."""


def page(
    data: SweepData,
    tables: Sequence[Table],
    across: Sequence[Table],
    pictures: Sequence[Picture],
    cited: Sequence[Citation],
    warnings: Sequence[str],
) -> str:
    """Return the page as HTML; it shows the figures in the folder ``plots`` beside it.

    Args:
        data: of the sweep.
        tables: tables of one data set and model.
        across: tables of the whole sweep.
        pictures: figures of comparisons and of the whole sweep.
        cited: sources of what the sweep used.
        warnings: one line each.
    """
    summary, results = data.summary, data.summary.results
    tasks = [wording(task) for task in dict.fromkeys(results.runs["task"])]
    figures = figure_data(data)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            name=results.name,
            tasks=tasks,
            across=across,
            quality=_quality(data.final_quality, pictures),
            most_datasets=_MOST_DATASETS,
            pictures_across=[one for one in pictures if one.comparison is None and one.plot != final_quality.name],
            overview=summary.overview,
            sections=_sections(results, tables, pictures),
            protocols=_protocols(results),
            metrics=_described(summary, tasks),
            has_tests=bool(results.runs["task"].map(is_tested_task).any()),
            references=[citation for citation in cited if citation.role != "metric"],
            outside={name: _flat(facts) for name, facts in results.outside.items()},
            provenance=_flat(results.provenance),
            devices=sorted({str(timing["device"]) for timing in results.timings.values() if "device" in timing}),
            warnings=[printable(line) for line in warnings],
            caption=CAPTION,
            means=MEANS,
            figures=figures,
            figures_json=Markup(as_script(figures)),
            libraries=[CHARTS, SORTING],
            scripts=[*FIGURE_SCRIPTS, *TABLE_SCRIPTS],
        )
    )


def _quality(found: Sequence[FinalQuality], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return, for each data set, its figure of final quality and a sentence for each contest."""
    figures = [one for one in pictures if one.plot == final_quality.name]
    return [
        {
            "title": f"{one.shown}: {heading(one.metric)}",
            "picture": next((figure for figure in figures if figure.title == one.shown), None),
            "sentences": [(contest.title, _with_code(text)) for contest, text in _sentences(one.contests)],
        }
        for one in found
    ]


def _sentences(contests: Sequence[Contest]) -> Iterator[tuple[Contest, str]]:
    """Yield the contests with their sentences; those that were not tested have one for all."""
    yield from ((one, one.sentence) for one in contests if one.compared is not None)
    untested = [one for one in contests if one.compared is None]
    if untested:
        yield replace(untested[0], title="; ".join(filter(None, (one.title for one in untested)))), untested[0].sentence


def _with_code(text: str) -> Markup:
    """Return ``text`` as HTML, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if odd % 2 else part for odd, part in enumerate(parts)
    )


def _sections(results: Results, tables: Sequence[Table], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return a section for each (task, data set, model): its tables, their common notes, and figures by comparison."""
    found = comparisons(results.runs)
    sections: dict[tuple[str, str, str], dict[str, Any]] = {}
    for table in tables:
        key = (table.task, table.dataset, table.model)
        covered = [one for one in found if key in {(one.task, one.dataset, model) for model in (one.model, "")}]
        section = sections.setdefault(
            key,
            {
                "title": ", ".join(filter(None, [results.shown(table.dataset), table.model])),
                "tables": [],
                "galleries": [
                    (
                        _heading(results, one, table.model),
                        [picture for picture in pictures if picture.comparison == one],
                    )
                    for one in covered
                ],
            },
        )
        section["tables"].append(table)
    for section in sections.values():
        first, *others = section["tables"]
        section["notes"] = [note for note in first.notes if all(note in other.notes for other in others)]
    _open_first(list(sections.values()))
    return list(sections.values())


def _open_first(sections: Sequence[dict[str, Any]]) -> None:
    """Open the first section, and the next ones while their first tables are short."""
    rows = 0
    for section in sections:
        section["is_open"] = not rows or rows + len(section["tables"][0].rows) <= _MOST_ROWS
        rows += len(section["tables"][0].rows)


def _heading(results: Results, comparison: Comparison, model: str) -> str:
    """Return the heading of a comparison's figures; it names the model where the section's ``model`` is empty."""
    text = f"{comparison.loss} loss, setting {results.shown(comparison.setting)}"
    return text if model else f"{results.shown(comparison.model)}, {text}"


def _protocols(results: Results) -> list[tuple[str, str, str]]:
    """Return data set, metrics and facts; metrics of a pair of distributions with the same facts share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for dataset, metric, facts in results.protocols.itertuples(index=False):
        text = ", ".join(f"{key}: {_as_text(value)}" for key, value in facts.items())
        rows.setdefault((dataset, text, "" if dataset in results.names else metric), []).append(metric)
    return [(results.shown(dataset), ", ".join(metrics), text) for (dataset, text, _), metrics in rows.items()]


def _described(summary: Summary, tasks: Sequence[Wording]) -> list[Description]:
    """Return the descriptions of what was measured, in the words of the task where all runs share one."""
    if len(tasks) > 1:
        return summary.measured_metrics
    adapted = tasks[0].adapted
    return [replace(one, title=adapted(one.title), summary=adapted(one.summary)) for one in summary.measured_metrics]


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(path, _as_text(value)) for path, value in flatten(facts, " ").items()]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
