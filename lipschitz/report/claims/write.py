"""Write the verdicts: a table as Markdown, LaTeX and csv, every comparison as csv, small figures, and a page."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lipschitz.files import write_bytes
from lipschitz.report.claims.claims_file import ClaimsFile
from lipschitz.report.claims.figures import draw
from lipschitz.report.claims.verdicts import VERDICTS, Decided, Tested, counts
from lipschitz.report.number_format import show, show_range
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.tables.markdown_and_latex import latex
from lipschitz.report.tables.table import Cell, Column, Table

COMPARISONS = "comparisons.csv"
VERDICTS_CSV = "claims.csv"
RULE = (
    "Welch's test, two-sided at 5 %, with Holm's correction over all comparisons of all claims of one experiment; five "
    "seeds or more in each arm. Values of the same runs are compared in pairs. Diverged seeds count as worst, and then "
    "ranks are compared (Mann and Whitney). True also needs an effect of at least the margin. True and false need all "
    "starts and data sets of the claim to agree. Depends: true from one and false from another. An interval is a "
    f"{MEAN.short} without correction: of ratios of geometric means, or of differences of means. P(lower) is the "
    "chance that a seed of the first arm has the lower value."
)


def write(file: ClaimsFile, decided: list[Decided], out: Path) -> None:
    """Write everything into the folder ``out``, which is made."""
    plots = out / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for stale in plots.glob("*.svg"):
        stale.unlink()
    figures = {}
    for one in decided:
        if (svg := draw(one)) is not None:
            figures[one.claim.id] = f"plots/{one.claim.id}.svg"
            write_bytes(plots / f"{one.claim.id}.svg", svg)
    texts = {
        VERDICTS_CSV: verdicts_csv(file, decided),
        COMPARISONS: comparisons_csv(decided),
        "table.md": _markdown(file, decided),
        "table.tex": latex([_table(file, decided)]),
        "index.html": _page(file, sorted(decided, key=lambda one: VERDICTS.index(one.verdict)), figures),
    }
    for name, text in texts.items():
        write_bytes(out / name, text.encode())


def comparisons_csv(decided: Iterable[Decided]) -> str:
    """Return one row a comparison: claim, place, start, effect with interval, g, n, corrected p, verdict."""
    head = [
        "claim",
        "place",
        "start",
        "scale",
        "effect",
        "low",
        "high",
        "g",
        "n",
        "lost",
        "corrected_p",
        "verdict",
        "reason",
    ]
    return _csv(head, (_comparison_row(tested) for one in decided for tested in one.tested))


def verdicts_csv(file: ClaimsFile, decided: Iterable[Decided]) -> str:
    """Return a row a claim: id, verdict, claim, source, test, experiment, number of hypotheses, command, cost, note."""
    head = ["id", "verdict", "claim", "source", "test", "experiment", "hypotheses", "command", "cost", "note"]
    rows = []
    for one in decided:
        experiment = file.experiments[one.claim.experiment]
        about = [one.claim.claim, one.claim.source, one.claim.test, one.claim.experiment]
        costs = [experiment.command, experiment.cost, one.claim.note]
        rows.append([one.claim.id, one.verdict, *about, one.family, *costs])
    return _csv(head, rows)


def effect_text(tested: Tested) -> str:
    """Return the effect with its interval, in words: ``× 0.52 [0.41, 0.66]``; why there is none where it is missing."""
    one = tested.comparison
    if not math.isfinite(one.effect):
        return one.reason
    sign = {"ratio": "× ", "difference": "", "correlation": "ρ "}[one.scale]
    lost = f", {one.lost} lost" if one.lost else ""
    if one.scale == "probability":
        return f"P(lower) {show(one.effect)} (n = {one.n}{lost}{', ' if one.reason else ''}{one.reason})"
    return f"{sign}{show_range(one.effect, one.low, one.high)} (n = {one.n}{lost})"


def _comparison_row(tested: Tested) -> list[Any]:
    one = tested.comparison
    numbers = [one.effect, one.low, one.high, one.g]
    shown = [f"{number:.6g}" if not math.isnan(number) else "" for number in numbers]
    p = "" if math.isnan(tested.corrected) else f"{tested.corrected:.4g}"
    return [one.claim, one.place, one.start, one.scale, *shown, one.n, one.lost, p, tested.verdict, one.reason]


def _csv(head: list[str], rows: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def summary(decided: list[Decided]) -> str:
    """Return how many claims have each verdict, in one line."""
    return ", ".join(f"{n} {verdict}" for verdict, n in counts(decided).items())


def _evidence(file: ClaimsFile, one: Decided) -> str:
    if one.verdict == "not run":
        experiment = file.experiments[one.claim.experiment]
        return f"`{experiment.command}` ({experiment.cost})"
    effects = "; ".join(f"{t.comparison.place}, {t.comparison.start}: {effect_text(t)}" for t in one.tested)
    return f"{effects}. {one.claim.note}" if one.claim.note else effects


def _table(file: ClaimsFile, decided: list[Decided]) -> Table:
    columns = [
        Column(head, numeric=False) for head in ("Claim", "Source", "Verdict", "Effect by start, or command and cost")
    ]
    rows = [
        [
            Cell(one.claim.claim),
            Cell(one.claim.source),
            Cell(one.verdict, bold=True),
            Cell(_evidence(file, one).replace("`", "")),
        ]
        for one in decided
    ]
    return Table("", "", "", "Claims", columns, rows, [], RULE)


def _markdown(file: ClaimsFile, decided: list[Decided]) -> str:
    lines = [
        "# Claims of the field, and what the committed results say",
        "",
        f"{len(decided)} claims: {summary(decided)}.",
        "",
        RULE,
        "",
    ]
    for verdict in VERDICTS:
        chosen = [one for one in decided if one.verdict == verdict]
        if not chosen:
            continue
        last = "Command (cost)" if verdict == "not run" else f"Effect [{MEAN.short}], by start"
        lines += [f"## {verdict.capitalize()}", "", f"| Claim | Source | {last} |", "| :--- | :--- | :--- |"]
        for one in chosen:
            evidence = _evidence(file, one)
            lines.append(
                "| "
                + " | ".join(text.replace("|", "\\|") for text in (one.claim.claim, one.claim.source, evidence))
                + " |"
            )
        lines.append("")
    return "\n".join(lines)


def _page(file: ClaimsFile, decided: list[Decided], figures: dict[str, str]) -> str:
    environment = Environment(
        loader=PackageLoader("lipschitz.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    entries = [
        {
            "claim": one.claim,
            "verdict": one.verdict,
            "figure": figures.get(one.claim.id),
            "experiment": file.experiments[one.claim.experiment],
            "family": one.family,
            "rows": [(t.comparison, t.verdict, effect_text(t), show(t.corrected)) for t in one.tested],
        }
        for one in decided
    ]
    text: str = environment.get_template("claims.html.j2").render(
        entries=entries, summary=summary(decided), rule=RULE, interval=MEAN.short
    )
    return text
