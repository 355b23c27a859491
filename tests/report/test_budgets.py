"""The same critics on two budgets: values, ranks and changed orders, worked out by hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Plan
from synthetic import write_sweep as write_generation
from synthetic_transport import CLIPPING, PENALTY, SORTING, Pairs, write_pairs
from typer.testing import CliRunner

from lipschitz.cli import app
from lipschitz.errors import InputError
from lipschitz.report.budgets import read_other_sweep, tables
from lipschitz.report.published.critics import families
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.write import report

APART, TOGETHER = (0.01, 0.0, -0.01), (0.2, 0.0, -0.2)
"""Seeds around a mean: half-widths of .025 and .50."""
METHODS = (CLIPPING, PENALTY, SORTING)


def plan(
    means: tuple[float, float, float], spreads: tuple[tuple[float, ...], ...], dims: tuple[int, ...] = (2,)
) -> Pairs:
    cosines = {
        (method.label, dim, 4): tuple(mean + offset for offset in spread)
        for method, mean, spread in zip(METHODS, means, spreads, strict=True)
        for dim in dims
    }
    return Pairs(METHODS, dims, (4,), cosines=cosines, pictures=False)


HERE = plan((0.1, 0.5, 0.9), (APART, APART, TOGETHER))
THERE = plan((0.3, 0.2, 0.8), (APART, APART, APART), (2, 16))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    longer = replace(THERE, methods=METHODS)
    here, there = write_pairs(tmp_path / "published", HERE), write_pairs(tmp_path / "equal", longer)
    report(there, limit_panels=0)
    # A committed folder has no runs.
    shutil.rmtree(there / "runs")
    return here, there


def test_values_ranks_and_orders_by_hand(folders: tuple[Path, Path]) -> None:
    here, there = folders
    (family,) = families(Summary(load(here)))
    (table,) = tables(family, read_other_sweep(there))
    heads = [(column.over, column.head) for column in table.columns]
    assert heads[2:4] == [("Steps", "published"), ("Steps", "equal")]
    rows = [[cell.text for cell in row] for row in table.rows]
    pair = "published funnels, dim 2, 4 funnels"
    assert [row[:4] for row in rows] == [
        [pair, CLIPPING.label, "1000", "1000"],
        [pair, PENALTY.label, "2000", "2000"],
        [pair, "sorting out (orthogonal, full_sort)", "2000", "2000"],
    ]
    assert [row[4:6] for row in rows][:2] == [["0.100 ± 0.025", "0.300 ± 0.025"], ["0.500 ± 0.025", "0.200 ± 0.025"]]
    # Sorting out, .9 ± .5 here, is above clipping alone; there it is above both.
    assert [row[-2:] for row in rows] == [["3", "2"], ["1 to 2", "3"], ["1 to 2", "1"]]
    assert table.notes == [
        f"Reversed, published against equal: {pair}: gradient_penalty above {CLIPPING.label}.",
        "Apart in published only: none.",
        f"Apart in equal only: {pair}: sorting out (orthogonal, full_sort) above gradient_penalty.",
        "The same order in both, or apart in neither: 1 pairs of methods.",
    ]


def test_the_table_is_first_and_needs_no_records(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.commands.report.PANELS", 0)
    here, there = folders
    (there / "records.csv").unlink()
    done = CliRunner().invoke(app, ["report", str(here), "--beside", str(there)])
    assert done.exit_code == 0, done.output
    text = (here / "table.md").read_text()
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads[0].startswith("## Budgets beside each other, published and equal: published funnels")
    assert "| 1000 | – | 0.100 ± 0.025 | 0.300 ± 0.025 |" in text
    assert "Budgets beside each other" in (here / "index.html").read_text()


def test_a_single_seed_is_shown_without_a_rank(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one = write_pairs(tmp_path / "one", replace(HERE, seeds=(0,)))
    (family,) = families(Summary(load(one)))
    (table,) = tables(family, read_other_sweep(folders[1]))
    assert {row[-1].text for row in table.rows} == {"–"}
    assert table.rows[0][4].text == "0.110"


def test_folders_without_a_common_critic_give_a_warning(folders: tuple[Path, Path], tmp_path: Path) -> None:
    generation = write_generation(
        tmp_path / "g", Plan(("digits",), ("none",), seeds=(0,), evaluations=1, pictures=False)
    )
    assert any(
        "no critic (task transport) in common" in line for line in report(generation, limit_panels=0, beside=folders[1])
    )


def test_a_folder_without_a_summary_is_refused_before_writing(folders: tuple[Path, Path]) -> None:
    here, there = folders
    (there / "summary.csv").unlink()
    with pytest.raises(InputError, match=r"summary.csv: not found"):
        report(here, beside=there)
    (there / "summary.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"summary.csv: cannot be read"):
        report(here, beside=there)
    assert not (here / "table.md").exists()
