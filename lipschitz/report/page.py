"""The page: tables, figures, protocols and provenance on one sheet of HTML that needs no network."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from lipschitz.report.comparisons import comparisons
from lipschitz.report.markup import spans
from lipschitz.report.plots.gallery import Picture
from lipschitz.report.records import Sweep
from lipschitz.report.references import Citation
from lipschitz.report.summary import measured_metrics, overview
from lipschitz.report.tables import CAPTION, Table


def page(
    sweep: Sweep,
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    cited: Sequence[Citation],
    warnings: Sequence[str],
) -> str:
    """Return the whole page; it shows the figures from ``plots/`` beside it."""
    environment = Environment(
        loader=PackageLoader("lipschitz.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2").render(
        name=sweep.name,
        overview=overview(sweep),
        sections=_sections(sweep, tables, pictures),
        protocols=_protocols(sweep.protocols),
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
    """One section a (task, data set, model): its tables, then the figures of each of its comparisons."""
    found = comparisons(sweep.runs)
    sections: dict[tuple[str, str, str], dict[str, Any]] = {}
    for table in tables:
        key = (table.task, table.dataset, table.model)
        covered = [one for one in found if (one.task, one.dataset, one.model) == key]
        section = sections.setdefault(
            key,
            {
                "dataset": table.dataset,
                "model": table.model,
                "task": table.task,
                "tables": [],
                "galleries": [(one, [picture for picture in pictures if picture.comparison == one]) for one in covered],
            },
        )
        section["tables"].append(table)
    return list(sections.values())


def _protocols(protocols: pd.DataFrame) -> list[tuple[str, str, str]]:
    said = protocols["facts"].map(lambda facts: ", ".join(f"{key}: {_plain(value)}" for key, value in facts.items()))
    return list(zip(protocols["dataset"], protocols["metric"], said, strict=True))


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(prefix, _plain(value))]
    return [row for key, part in value.items() for row in _flat(part, f"{prefix} {key}".strip())]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
