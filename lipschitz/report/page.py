"""The page: tables, figures, protocols and provenance on one sheet of HTML that needs no network."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lipschitz.report.comparisons import Comparison, comparisons
from lipschitz.report.markup import spans
from lipschitz.report.nested import leaves
from lipschitz.report.plots.gallery import Picture
from lipschitz.report.records import Sweep
from lipschitz.report.references import Citation
from lipschitz.report.summary import measured_metrics, overview
from lipschitz.report.table import CAPTION, Table
from lipschitz.report.tasks import wording


def page(
    sweep: Sweep,
    tables: Sequence[Table],
    across: Sequence[Table],
    pictures: Sequence[Picture],
    cited: Sequence[Citation],
    warnings: Sequence[str],
) -> str:
    """Return the whole page; it shows the figures from ``plots/`` beside it.

    Args:
        sweep: what was run.
        tables: of its data sets and models.
        across: of the whole sweep, across data sets and models.
        pictures: of its comparisons, and of the whole sweep.
        cited: what it is made of.
        warnings: one line each.
    """
    tasks = [wording(task) for task in dict.fromkeys(sweep.runs["task"])]
    environment = Environment(
        loader=PackageLoader("lipschitz.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2").render(
        name=sweep.name,
        tasks=tasks,
        across=across,
        pictures_across=[picture for picture in pictures if picture.comparison is None],
        overview=overview(sweep),
        sections=_sections(sweep, tables, pictures),
        protocols=_protocols(sweep),
        metrics=measured_metrics(sweep),
        references=[citation for citation in cited if citation.role != "metric"],
        outside={name: _flat(facts) for name, facts in sweep.outside.items()},
        provenance=_flat(sweep.provenance),
        devices=sorted({str(timing["device"]) for timing in sweep.timings.values() if "device" in timing}),
        warnings=warnings,
        caption=CAPTION,
        spans=spans,
    )


def _sections(sweep: Sweep, tables: Sequence[Table], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """One section a (task, data set, model): its tables, what is noted of all of them, and figures by comparison."""
    found = comparisons(sweep.runs)
    sections: dict[tuple[str, str, str], dict[str, Any]] = {}
    for table in tables:
        key = (table.task, table.dataset, table.model)
        covered = [one for one in found if key in {(one.task, one.dataset, model) for model in (one.model, "")}]
        section = sections.setdefault(
            key,
            {
                "title": ", ".join(filter(None, [sweep.shown(table.dataset), table.model])),
                "tables": [],
                "galleries": [
                    (_heading(sweep, one, table.model), [picture for picture in pictures if picture.comparison == one])
                    for one in covered
                ],
            },
        )
        section["tables"].append(table)
    for section in sections.values():
        first, *others = section["tables"]
        section["notes"] = [note for note in first.notes if all(note in other.notes for other in others)]
    return list(sections.values())


def _heading(sweep: Sweep, comparison: Comparison, model: str) -> str:
    """Return what tells the figures of a comparison from those of others in its section, which may be of one model."""
    said = f"{comparison.loss} loss, setting {sweep.shown(comparison.setting)}"
    return said if model else f"{sweep.shown(comparison.model)}, {said}"


def _protocols(sweep: Sweep) -> list[tuple[str, str, str]]:
    """Return data set, metric and facts; the metrics of a pair, whose protocols hardly differ, share rows."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for dataset, metric, facts in sweep.protocols.itertuples(index=False):
        text = ", ".join(f"{key}: {_plain(value)}" for key, value in facts.items())
        said.setdefault((dataset, text, "" if dataset in sweep.names else metric), []).append(metric)
    return [(sweep.shown(dataset), ", ".join(metrics), text) for (dataset, text, _), metrics in said.items()]


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(" ".join(path), _plain(value)) for path, value in leaves(facts)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
