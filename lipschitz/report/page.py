"""The page: tables, figures, protocols and provenance on one sheet of HTML that needs no network."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lipschitz.report.plots.gallery import Picture
from lipschitz.report.reading.comparisons import Comparison, comparisons, flatten
from lipschitz.report.reading.results import Results
from lipschitz.report.references import Citation
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.markdown_and_latex import spans
from lipschitz.report.tables.table import CAPTION, Table
from lipschitz.report.wording import wording


def page(
    summary: Summary,
    tables: Sequence[Table],
    across: Sequence[Table],
    pictures: Sequence[Picture],
    cited: Sequence[Citation],
    warnings: Sequence[str],
) -> str:
    """Return the whole page; it shows the figures from ``plots/`` beside it.

    Args:
        summary: of what was run.
        tables: of its data sets and models.
        across: of the whole sweep, across data sets and models.
        pictures: of its comparisons, and of the whole sweep.
        cited: what it is made of.
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
        metrics=summary.measured_metrics,
        references=[citation for citation in cited if citation.role != "metric"],
        outside={name: _flat(facts) for name, facts in results.outside.items()},
        provenance=_flat(results.provenance),
        devices=sorted({str(timing["device"]) for timing in results.timings.values() if "device" in timing}),
        warnings=warnings,
        caption=CAPTION,
        interval=MEAN,
        spans=spans,
    )


def _sections(results: Results, tables: Sequence[Table], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """One section a (task, data set, model): its tables, what is noted of all of them, and figures by comparison."""
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
    """Return what tells the figures of a comparison from those of others in its section, which may be of one model."""
    said = f"{comparison.loss} loss, setting {results.shown(comparison.setting)}"
    return said if model else f"{results.shown(comparison.model)}, {said}"


def _protocols(results: Results) -> list[tuple[str, str, str]]:
    """Return data set, metric and facts; the metrics of a pair, whose protocols hardly differ, share rows."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for dataset, metric, facts in results.protocols.itertuples(index=False):
        text = ", ".join(f"{key}: {_plain(value)}" for key, value in facts.items())
        said.setdefault((dataset, text, "" if dataset in results.names else metric), []).append(metric)
    return [(results.shown(dataset), ", ".join(metrics), text) for (dataset, text, _), metrics in said.items()]


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(path, _plain(value)) for path, value in flatten(facts, " ").items()]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
