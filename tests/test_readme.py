"""The README: its first block, its numbers, its examples and its links are correct."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lipschitz as lip
from lipschitz.constraints.base import Batch
from lipschitz.random_streams import stream
from lipschitz.sweep.definition.sweep_file import load_sweep

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FINDINGS = (ROOT / "docs" / "findings.md").read_text()
ROW = re.compile(r"\| (none|\w+_\w+|real data) \|")
W1, FRECHET = "W1 to held-out data ↓: last", "Fréchet distance, reference classifier ↓: last"
POINTS, DIGITS = "eight_gaussians, mlp(init={})", "digits, dcgan(width=8, init={})"
COST = f"Constraint and cost: {DIGITS.format('he')}"
COLUMNS = {
    "W1, points, He ↓": (f"Quality: {POINTS.format('he')}", W1),
    "W1, points, N(0, 0.02²) ↓": (f"Quality: {POINTS.format('normal')}", W1),
    "Fréchet distance, digits, He ↓": (f"Quality: {DIGITS.format('he')}", FRECHET),
    "Fréchet distance, digits, N(0, 0.02²) ↓": (f"Quality: {DIGITS.format('normal')}", FRECHET),
    "Lip(D): at least": (COST, "Lip(D): at least"),
    "Lip(D): at most": (COST, "Lip(D): at most"),
    "Step: × none": (COST, "Discriminator step: × none"),
}
"""The section and column of the quickstart's table for each column of the README's table."""


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")[1:-1]]


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of the first table of a text, by column."""
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(cells(head), cells(row), strict=True)) for row in rows]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_it_is_one_page() -> None:
    assert len(README.splitlines()) <= 120


def test_the_first_block_is_two_lines() -> None:
    block = README.split("```")[1].strip().splitlines()
    assert len(block) == 2
    assert "lipschitz sweep benchmarks/quickstart.yaml" in block[0]
    assert block[1].endswith("tox")


def test_the_example_method_can_be_swept(tmp_path: Path) -> None:
    (method,) = [block for block in python_blocks(README) if "class MyMethod" in block]
    (sweep,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (entry,) = re.findall(r"`(constraints: \[none, my_method[^`]*)`", README)
    (tmp_path / "my_method.py").write_text(method)
    (tmp_path / "mine.yaml").write_text(re.sub(r"constraints: .*", entry, sweep))
    constraints = [run.constraints for run in load_sweep(tmp_path / "mine.yaml").runs if run.constraints]
    (mine,) = {one for combination in constraints for one in combination if one.name() != "none"}
    net, samples = nn.Linear(2, 1), torch.zeros(4, 2)
    expected = 0.01 * sum(float(parameter.detach().square().sum()) for parameter in net.parameters())
    assert mine.penalty(net, Batch(samples, samples), stream(0, "constraint")).item() == pytest.approx(expected)


def test_the_example_of_python_trains_a_critic_that_is_bounded() -> None:
    (shown,) = [block for block in python_blocks(README) if "lip.constrain" in block]
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(shown.replace("range(200)", "range(40)"), names)
    critic = names["critic"]
    measured = lip.measure(critic, critic.shape)
    assert all(layer.reshaped == pytest.approx(1, rel=0.02) for layer in measured.layers)
    # Of the two layers that the method normalises, and ReLU.
    assert measured.upper <= 1.05
    with torch.no_grad():
        assert critic(torch.randn(64, 2)).mean() > critic(torch.randn(64, 2) + 3).mean()


@pytest.mark.parametrize("row", [line for line in FINDINGS.splitlines() if ROW.match(line)])
def test_every_row_of_the_findings_is_in_the_results(row: str) -> None:
    assert row in (ROOT / "results" / "quickstart" / "table.md").read_text().splitlines()


@pytest.mark.parametrize("row", rows_of(README), ids=lambda row: row["Constraint"])
@pytest.mark.parametrize("column", COLUMNS)
def test_every_number_of_the_table_is_in_the_results(row: dict[str, str], column: str) -> None:
    sections = (ROOT / "results" / "quickstart" / "table.md").read_text().split("\n## ")
    assert row.keys() == {"Constraint", *COLUMNS}
    title, name = COLUMNS[column]
    (section,) = [section for section in sections if section.startswith(title)]
    measured = {one["Constraint"]: one for one in rows_of(section)}
    assert row[column] == measured[row["Constraint"]][name]


@pytest.mark.parametrize("number", sorted(set(re.findall(r"[\d.e-]+ \[[\d.e-]+, [\d.e-]+\]", README))))
def test_every_interval_is_in_the_results(number: str) -> None:
    tables = (path.read_text() for path in ROOT.glob("results/*/table.md"))
    assert any(number in table for table in tables)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)[)#]", README))
def test_every_link_leads_to_a_file(target: str) -> None:
    assert (ROOT / target).exists()
