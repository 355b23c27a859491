"""Write the HTML page of a report: tables, figures, protocols and provenance in one file that needs no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lipschitz.errors import printable
from lipschitz.metrics.description import Description
from lipschitz.report.plots.gallery import Picture
from lipschitz.report.reading.comparisons import Comparison, comparisons, flatten
from lipschitz.report.reading.results import Results
from lipschitz.report.references import Citation
from lipschitz.report.statistics.against_none import is_tested_task
from lipschitz.report.statistics.intervals import MEANS
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.markdown_and_latex import spans
from lipschitz.report.tables.table import CAPTION, Table
from lipschitz.tasks.wording import Wording, wording


def page(
    summary: Summary,
    tables: Sequence[Table],
    across: Sequence[Table],
    pictures: Sequence[Picture],
    cited: Sequence[Citation],
    warnings: Sequence[str],
) -> str:
    """Return the page as HTML; it shows the figures in the folder ``plots`` beside it.

    Args:
        summary: of the sweep.
        tables: tables of one data set and model.
        across: tables of the whole sweep.
        pictures: figures of comparisons and of the whole sweep.
        cited: sources of what the sweep used.
        warnings: one line each.
    """
    results = summary.results
    tasks = [wording(task) for task in dict.fromkeys(results.runs["task"])]
    environment = Environment(
        loader=PackageLoader("lipschitz.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2").render(
        name=results.name,
        tasks=tasks,
        across=across,
        pictures_across=[picture for picture in pictures if picture.comparison is None],
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
        spans=spans,
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
    return list(sections.values())


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
