"""Long labels of settings in tables: short names where these are distinct, and a note that explains them."""

from pathlib import Path

import pytest
from synthetic_classifiers import Classifier, curve, write_classifiers
from table_text import text_rows

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.report.tables.table import Table

SGD, SLOW, ADAM = "sgd(lr=0.05, momentum=0.9)", "sgd(lr=0.01)", "adam(lr=0.001)"


def gap_table(folder: Path, *settings: str) -> Table:
    points = curve((0.1, 0.1, 2.3, 2.3), (0.9, 0.8, 0.3, 0.5))
    runs = [Classifier("none", 0, points, {}, labels={"setting": setting}) for setting in settings]
    tables = build(Summary(load(write_classifiers(folder, runs))))
    return next(table for table in tables if table.title.startswith("Generalisation gap"))


def test_distinct_names_are_short(tmp_path: Path) -> None:
    table = gap_table(tmp_path, SGD, ADAM, "C")
    assert [row["Setting"] for row in text_rows(table)] == ["sgd", "adam", "C"]
    assert f"Setting: sgd is {SGD}; adam is {ADAM}." in table.notes


@pytest.mark.parametrize("settings", [(SGD, SLOW, ADAM), ("A", "C")])
def test_other_names_are_as_they_were(settings: tuple[str, ...], tmp_path: Path) -> None:
    table = gap_table(tmp_path, *settings)
    assert [row["Setting"] for row in text_rows(table)] == list(settings)
    assert not any(note.startswith("Setting: ") for note in table.notes)
