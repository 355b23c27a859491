"""Tables of classifiers: differences from none, and robust accuracy."""

from pathlib import Path

import pytest
from synthetic_classifiers import Classifier, curve, write_classifiers
from table_text import text_rows

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.report.tables.table import Table

FIRST, SECOND = "gouk_cnn", "gouk_cnn(dropout=0.5)"
ACCURACY = {
    (FIRST, "none"): (0.80, 0.81, 0.82),
    (FIRST, "aol"): (0.70, 0.71, 0.72),
    (SECOND, "none"): (0.83, 0.84, 0.85),
    (SECOND, "aol"): (0.825, 0.815, 0.835),
}
PROTOCOLS = {
    "accuracy/test": {"images": 10000},
    "pgd_accuracy/1": {"images": 200},
    "certified_accuracy/1": {"images": 200},
}


def tables_of(folder: Path) -> dict[str, list[Table]]:
    """Return by the first words of its title the tables of each model."""
    runs = [
        Classifier(
            constraint,
            seed,
            curve((0.1, 0.1, 2.3, 2.3), (0.9, accuracy, 0.3, 0.5)),
            {"pgd_accuracy/1": accuracy / 2, "certified_accuracy/1": 0.25, "certified_accuracy/0.141": 0.5},
            {"name": constraint},
            {"model": model},
            protocols=PROTOCOLS,
        )
        for (model, constraint), accuracies in ACCURACY.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    found: dict[str, list[Table]] = {}
    for table in build(Summary(load(write_classifiers(folder, runs)))):
        found.setdefault(table.title.partition(":")[0], []).append(table)
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Table]]:
    return tables_of(tmp_path_factory.mktemp("tables"))


def test_differences_and_effects_by_hand(tables: dict[str, list[Table]]) -> None:
    """The deviation of every group is 0.01; g is the difference in deviations, times 1 - 3 / 15."""
    first, second = tables["Accuracy and gap against none"]
    (row,) = text_rows(first)
    assert row == {
        "Constraint": "aol",
        "Against": "none",
        "n": "3, 3",
        "Accuracy/test ↑": "-0.10 (g 8.0)",
        "Generalisation gap ↓": "+0.10 (g 8.0)",
    }
    assert [cell.bold for cell in first.rows[0]] == [False, False, False, True, True]
    found = [(row["Constraint"], row["Against"], row["Accuracy/test ↑"]) for row in text_rows(second)]
    assert found == [
        ("none", "baseline", "+0.030 (g 2.4)"),
        ("aol", "none", "-0.015 (g 1.2)"),
        ("aol", "baseline", "+0.015 (g 1.2)"),
    ]
    assert "for all 4 tests of a column" in second.caption
    assert f"baseline: without a constraint, of the first model: {FIRST}, cross_entropy loss" in second.caption
    assert "baseline" not in first.caption


def test_the_tables_of_attacks_name_the_number_of_images(tables: dict[str, list[Table]]) -> None:
    table = tables["Accuracy under PGD against none"][0]
    assert [column.name for column in table.columns[3:]] == ["Accuracy under PGD ↑, by ε: 1"]
    assert table.caption.endswith("Shares of 200 test images.")
    assert tables["Accuracy and gap against none"][0].caption.endswith("Shares of 10000 test images.")


def test_robust_accuracy_by_epsilon(tables: dict[str, list[Table]]) -> None:
    certified = text_rows(tables["Certified accuracy"][0])[0]
    assert list(certified.items())[1:] == [
        ("Certified accuracy ↑, by ε: 0.141", "0.5 ± 0"),
        ("Certified accuracy ↑, by ε: 1", "0.25 ± 0"),
    ]
    assert text_rows(tables["Accuracy under PGD"][0])[0]["Accuracy under PGD ↑, by ε: 1"] == "0.405 ± 0.012"
