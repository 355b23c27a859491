"""The tables of classifiers: quality on test images alone, and the gap at the end and where all fit equally much."""

from pathlib import Path

import pytest
from synthetic_classifiers import Classifier, curve, write_classifiers

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import Table, build

# Training accuracy 0.9 is reached halfway between gaps of 0.1 and 0.2, a training loss of 0.5 between 0.1 and 0.3.
FITS = curve((0.1, 0.1, 2.3, 2.3), (0.85, 0.75, 0.625, 0.725), (0.95, 0.75, 0.4, 0.7), (1.0, 0.8, 0.4, 0.7))
STAYS = curve((0.1, 0.1, 2.3, 2.3), (0.2, 0.2, 2.1, 2.1), (0.3, 0.3, 2.0, 2.0), (0.4, 0.3, 2.0, 2.1))


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Table]:
    runs = [Classifier("none", 0, FITS, {}), Classifier("none", 1, STAYS, {}), Classifier("aol", 0, STAYS, {})]
    summary = Summary(load(write_classifiers(tmp_path, runs)))
    return {table.title.partition(":")[0]: table for table in build(summary)}


def texts(table: Table) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_tables_of_quality_show_test_images_alone(tables: dict[str, Table]) -> None:
    names = [column.name for column in tables["Quality"].columns]
    assert names[:3] == ["Constraint", "n", "Diverged"]
    assert names[3:] == [
        f"{metric}: {which}"
        for metric in ("Accuracy/test ↑", "Cross-entropy (nat)/test ↓")
        for which in ("last", "best")
    ]
    assert texts(tables["Quality"])["class frequencies"] == ["2", "", "0.1 ± 0", "", "2.3 ± 0", ""]


def test_the_gap_at_the_end_and_at_levels_that_a_run_reached(tables: dict[str, Table]) -> None:
    gaps = tables["Generalisation gap"]
    assert [column.name for column in gaps.columns[1:]] == [
        "Accuracy: training",
        "Accuracy: test",
        "Gap after the last step: of accuracy",
        "Gap after the last step: of the loss",
    ]
    levels = tables["Generalisation gap where all fit equally"]
    assert [column.name for column in levels.columns[1:]] == [
        "Gap of accuracy at training accuracy: 0.9",
        "Gap of accuracy at training accuracy: 0.95",
        "Gap of accuracy at training accuracy: 0.99",
        "Gap of the loss at training loss: 0.5",
    ]
    assert texts(gaps)["aol"] == ["0.400", "0.300", "0.100", "0.100"]
    found = texts(levels)
    assert found["aol"] == ["–", "–", "–", "–"]
    assert found["none"] == ["0.150 (n = 1)", "0.200 (n = 1)", "0.200 (n = 1)", "0.200 (n = 1)"]
    assert not any(cell.bold for table in (gaps, levels) for row in table.rows for cell in row)


def test_without_a_level_that_a_run_reached_there_is_no_second_table(tmp_path: Path) -> None:
    summary = Summary(load(write_classifiers(tmp_path, [Classifier("none", 0, STAYS, {})])))
    titles = [table.title.partition(":")[0] for table in build(summary)]
    assert "Generalisation gap" in titles
    assert "Generalisation gap where all fit equally" not in titles


def test_the_gaps_at_levels_are_in_the_summary(tmp_path: Path) -> None:
    frame = Summary(load(write_classifiers(tmp_path, [Classifier("none", 0, FITS, {})]))).frame
    rows = frame[frame["metric"].str.contains("_gap_at_")].set_index("metric")["mean"]
    assert rows.to_dict() == pytest.approx(
        {
            "accuracy_gap_at_train_accuracy/0.9": 0.15,
            "accuracy_gap_at_train_accuracy/0.95": 0.2,
            "accuracy_gap_at_train_accuracy/0.99": 0.2,
            "loss_gap_at_train_loss/0.5": 0.2,
        }
    )
