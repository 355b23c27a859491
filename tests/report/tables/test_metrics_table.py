"""One LaTeX table of chosen metrics: its numbers, columns, caption and errors."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from synthetic import Plan, write_sweep

from lipschitz.errors import InputError
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.metrics_table import metrics_table

METRICS = ("w1", "modes", "frechet_classifier", "lipschitz_upper", "ms_discriminator_step")
PLAN = {"constraints": ("none", "weight_clipping", "gradient_penalty"), "evaluations": 1, "pictures": False}


def summary_of(folder: Path, **changes: object) -> Summary:
    return Summary(load(write_sweep(folder, Plan(**PLAN | changes))))  # type: ignore[arg-type]


def cells(table: str, method: str, group: int = 0) -> list[str]:
    lines = [line for line in table.splitlines() if line.strip().startswith(method.replace("_", r"\_"))]
    return [cell.strip() for cell in lines[group].removesuffix(r" \\").split("&")]


def test_numbers_are_those_of_the_summary_in_the_input_of_siunitx(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    table = metrics_table(summary, METRICS)
    lookup = summary.lookup({"dataset": "eight_gaussians"})
    row = next(one for _, one in summary.frame.iterrows() if one["constraint"] == "gradient_penalty")
    distance, modes = (lookup.interval(row, metric).text for metric in ("w1", "modes"))
    number, low, high = re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", distance).groups()  # type: ignore[union-attr]
    assert cells(table, "gradient_penalty") == [
        r"gradient\_penalty",
        rf"\bfseries {number}",
        rf"\scriptsize [\num{{{low}}}, \num{{{high}}}]",
        rf"\bfseries {modes.replace('±', '+-')}",
        *("{--}", ""),
        *(r"{$\infty$}", ""),
        *("5.70", r"\scriptsize [\num{5.53}, \num{5.93}]"),
    ]
    assert cells(table, "none")[1].startswith("1.")
    assert cells(table, "real data")[-2:] == ["{--}", ""]
    assert table.isascii()


def test_every_line_has_a_cell_for_every_column_and_digits_for_every_number(tmp_path: Path) -> None:
    table = metrics_table(summary_of(tmp_path, ends={("digits", "none", 1): "diverged"}), METRICS)
    form = re.search(r"begin{tabular}{@{}(.*)@{}}", table)
    assert form is not None
    columns = re.findall(r"S\[table-format=([^]]*)\]|[lr]", form[1].replace(r"@{\,}", ""))
    # The method, n, which differs now, and two columns for each but modes, whose interval is symmetric.
    assert len(columns) == 2 + 2 * len(METRICS) - 1
    rows = [line for line in table.splitlines() if line.count("&") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {len(columns) - 1}
    for place, digits in enumerate(columns):
        shape = re.fullmatch(r"(\d)\.(\d)(?:\((\d)\))?", digits)
        for line in rows if shape else []:
            number = line.removesuffix(r" \\").split("&")[place].replace(r"\bfseries", "").split("+-")[0].strip()
            if not number.startswith("{"):
                whole, _, places = number.partition(".")
                assert len(whole) <= int(shape[1]), (digits, number)  # type: ignore[index]
                assert len(places) <= int(shape[2]), (digits, number)  # type: ignore[index]
    assert cells(table, "none", 1)[:2] == [r"none$^\dagger$", "2"]
    assert r"$\dagger$: with a diverged or failed seed." in table


def test_the_caption_says_once_what_a_cell_is(tmp_path: Path) -> None:
    table = metrics_table(summary_of(tmp_path, datasets=("digits",)), ["frechet_classifier"])
    (caption,) = re.findall(r"\\caption{(.*)}", table)
    assert caption.startswith("digits, after the last step: mean")
    for said in ("geometric mean [95", "n = 3.", "Bold: not significantly worse", "Holm's correction"):
        assert caption.count(said) == 1
    assert "A time" not in caption
    assert "multicolumn{3}" not in table
    assert r"\label{tab:synthetic}" in table


def test_a_time_is_never_bold(tmp_path: Path) -> None:
    table = metrics_table(summary_of(tmp_path, datasets=("digits",)), ["ms_discriminator_step"])
    assert r"\bfseries" not in table


@pytest.mark.parametrize(
    ("metrics", "said"), [([], "no metric is named"), (["w2"], "'w2' was not recorded here; did you mean 'w1'?")]
)
def test_an_unknown_metric_is_refused(tmp_path: Path, metrics: list[str], said: str) -> None:
    summary = summary_of(tmp_path, seeds=(0,))
    with pytest.raises(InputError, match=re.escape(said)):
        metrics_table(summary, metrics)


def _has_siunitx() -> bool:
    command = shutil.which("kpsewhich")
    return (
        command is not None
        and subprocess.run([command, "siunitx.sty"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not _has_siunitx(), reason="LaTeX with siunitx is not installed")
def test_the_table_compiles_and_is_no_wider_than_a_column(tmp_path: Path) -> None:
    (tmp_path / "metrics.tex").write_text(metrics_table(summary_of(tmp_path / "sweep"), METRICS))
    head = r"\documentclass[twocolumn]{article}\usepackage{booktabs,siunitx,graphicx}"
    (tmp_path / "paper.tex").write_text(head + r"\begin{document}\input{metrics}\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
