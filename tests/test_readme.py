"""The README says what is so: its two lines, its numbers, its example of a method."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_first_block_is_two_lines() -> None:
    block = README.split("```")[1].strip().splitlines()
    assert len(block) == 2
    assert "lipschitz sweep benchmarks/quickstart.yaml" in block[0]
    assert block[1].endswith("tox")


def test_the_method_shown_is_the_whole_file() -> None:
    shown = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert (ROOT / "lipschitz" / "constraints" / "weight_clipping.py").read_text() in shown


@pytest.mark.parametrize(
    "row", [line for line in README.splitlines() if re.match(r"\| (none|\w+_\w+|real data) \|", line)]
)
def test_every_number_shown_stands_in_the_results(row: str) -> None:
    assert row in (ROOT / "results" / "quickstart" / "table.md").read_text().splitlines()


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
