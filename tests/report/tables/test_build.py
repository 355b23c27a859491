import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Plan, quality_of, write_sweep

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import Table, build
from lipschitz.report.tables.markdown_and_latex import latex, markdown

HOSTILE = r"a_b+c{d}(x=50%,y=#1)&|<i>$2^3~\z` 漢 é"


def tables_of(folder: Path) -> list[Table]:
    sweep = load(folder)
    return build(Summary(sweep))


def column(table: Table, over: str, head: str) -> dict[str, str]:
    index = next(i for i, one in enumerate(table.columns) if one.head == head and one.over.startswith(over))
    return {row[0].text: row[index].text for row in table.rows}


def plan(**changes: object) -> Plan:
    small = {"datasets": ("digits",), "constraints": ("none", "gradient_penalty", HOSTILE), "pictures": False}
    return Plan(**(small | changes))  # type: ignore[arg-type]


@pytest.fixture
def tables(tmp_path: Path) -> list[Table]:
    return tables_of(write_sweep(tmp_path, plan()))


def test_the_overview_repeats_columns_of_the_other_tables(tables: list[Table]) -> None:
    overview, quality, cost, _ = tables
    assert [column.head for column in overview.columns] == [
        *(column.head for column in quality.columns[:4]),
        *(column.head for column in cost.columns[1:]),
    ]
    for row, of_quality, of_cost in zip(overview.rows, quality.rows, cost.rows, strict=False):
        assert row == [*of_quality[:4], *of_cost[1:]]
    assert "real data" not in column(overview, "Lip(D)", "at most")


def test_the_tables_of_a_comparison_with_the_floor_as_a_row(tables: list[Table]) -> None:
    assert [table.title.partition(":")[0] for table in tables] == [
        "Overview",
        "Quality",
        "Constraint and cost",
        "Steps and seconds to reach Fréchet distance, reference classifier ≤ 40.1",
    ]
    assert [row[0].text for row in tables[1].rows] == ["none", "gradient_penalty", HOSTILE, "real data"]


def test_cost_is_relative_to_none(tables: list[Table]) -> None:
    assert column(tables[2], "Discriminator step", "× none") == {
        "none": "1.00",
        "gradient_penalty": "1.90",
        HOSTILE: "1.00",
    }


def test_cost_on_another_device_is_not_compared(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, plan())
    path = folder / "timing" / "digits-hinge-C-gradient_penalty.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "another"}))
    assert column(tables_of(folder)[2], "Discriminator step", "× none")["gradient_penalty"] == "–"


def test_what_is_significantly_worse_than_the_best_is_not_bold(tables: list[Table]) -> None:
    bold = {row[0].text: row[3].bold for row in tables[1].rows}
    assert bold == {"none": False, "gradient_penalty": True, HOSTILE: False, "real data": False}


@pytest.mark.parametrize("end", ["diverged", "failed"])
@pytest.mark.parametrize("dataset", ["digits", "eight_gaussians"])
def test_a_method_with_a_diverged_or_failed_seed_is_never_bold(tmp_path: Path, dataset: str, end: str) -> None:
    methods = ("none", "weight_clipping", "gradient_penalty")
    ends = {(dataset, "gradient_penalty", 1): end}
    folder = write_sweep(tmp_path, plan(datasets=(dataset,), constraints=methods, ends=ends))
    summary = Summary(load(folder)).frame.set_index(["metric", "which", "constraint"])["mean"]
    overview, quality = tables_of(folder)[:2]
    measured = [(metric, which) for metric in quality_of(dataset) for which in ("last", "best")]
    assert [one.head for one in quality.columns[3:]] == [which for _, which in measured]
    bold = {row[0].text: [cell.bold for cell in row[3:]] for row in quality.rows}
    for place, (metric, which) in enumerate(measured):
        means = {method: summary[metric, which, method] for method in methods}
        better = max if CATALOGUE[metric].better == "higher" else min
        assert better(means, key=means.__getitem__) == "gradient_penalty"
        leader = better(methods[:2], key=means.__getitem__)
        assert {method for method in methods if bold[method][place]} == {leader}, (metric, which)
    assert not any(cell.bold for row in overview.rows if row[0].text == "gradient_penalty" for cell in row[1:4])


def test_losses_are_a_column_if_they_vary_and_otherwise_in_the_title(tmp_path: Path) -> None:
    table = tables_of(write_sweep(tmp_path, plan(losses=("hinge", "wasserstein"))))[0]
    assert [one.head for one in table.columns][:3] == ["Constraint", "Loss", "n"]
    assert "setting C" in table.title
    assert "hinge" not in table.title


def test_unfinished_runs_are_noted(tmp_path: Path) -> None:
    ends = {("digits", "none", 0): "failed", ("digits", "none", 1): "running"}
    table = tables_of(write_sweep(tmp_path, plan(ends=ends)))[0]
    assert column(table, "", "n")["none"] == "1"
    assert table.notes == ["Not included, because they did not end: 1 failed, 1 waiting."]


def test_every_row_of_markdown_has_the_same_number_of_cells(tables: list[Table]) -> None:
    text = markdown(tables, "a|b_c")
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "| gradient_penalty |" in text
    assert r"\<i\>" in text
    # An interval is no link, whatever follows.
    assert re.search(r"\| \d[\d.]* \[\d[\d.]*, \d[\d.]*\] \|", text)
    assert r"## \[5, 6\](x), [1e-07, 2.5]" in markdown([replace(tables[1], title="[5, 6](x), [1e-07, 2.5]")], "")


def test_every_row_of_latex_has_the_same_number_of_cells_and_is_escaped(tables: list[Table]) -> None:
    # The overview has no row of real data: four rows are those of quality.
    text = latex(tables[1:])
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(tables[1].columns) - 1}
    assert not re.search(r"(?<!\\)[%#_]", body)
    assert text.isascii()
    assert r"a\_b+c\{d\}(x=50\%,y=\#1)\&\textbar{}\textless{}i\textgreater{}\$2\textasciicircum{}3" in body


def test_a_long_table_has_less_line_spacing(tables: list[Table]) -> None:
    short = tables[1]
    long = replace(short, rows=short.rows * 13)
    assert r"\arraystretch" in latex([long])
    assert r"\arraystretch" not in latex([short])


def test_long_notes_follow_the_latex_table(tables: list[Table]) -> None:
    short, long = (latex([replace(tables[1], notes=["Said once. " * times])]) for times in (1, 60))
    assert short.index("Said once.") < short.index(r"\end{table}")
    assert long.index("Said once.") > long.index(r"\end{table}")
    assert long.count("Said once.") == 60


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("alone", [True, False])
def test_latex_compiles_alone_and_in_a_document(tables: list[Table], tmp_path: Path, alone: bool) -> None:
    (tmp_path / "table.tex").write_text(latex(tables))
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}Before.\input{table}After.\end{document}"
    (tmp_path / "document.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex" if alone else "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_steps_are_a_column_if_they_vary(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, plan(constraints=("weight_clipping", "none"), seeds=(0,)))
    for path in folder.glob("runs/*/run.json"):
        definition = json.loads(path.read_text())
        definition["steps"] = {"none": 10, "weight_clipping": 20}[definition["labels"]["constraint"]]
        path.write_text(json.dumps(definition))
    steps = column(tables_of(folder)[1], "", "Steps")
    assert {name: steps[name] for name in ("none", "weight_clipping")} == {"none": "10", "weight_clipping": "20"}


def test_the_note_of_quality_says_what_is_significantly_worse_than_the_best(tmp_path: Path) -> None:
    table = tables_of(write_sweep(tmp_path, plan()))[1]
    (note,) = (note for note in table.notes if "Welch" in note)
    means = {row[0].text: float(row[3].text.split()[0]) for row in table.rows[:-1]}
    best = min(means, key=means.__getitem__)
    assert note.startswith(
        "Fréchet distance, reference classifier ↓ after the last step, Welch's test at 5 % with Holm's"
    )
    assert "for 3 pairs" in note
    assert f"the best mean is that of {best}." in note
    named = note.partition("Significantly worse: ")[2]
    assert all(name in named for name in means if name != best)
    worse, similar = named.split(" Not told apart from it: ")
    # A method is called none.
    assert (worse == "no method.") != (similar.startswith("no method."))
