"""Notes of tables of classifiers: numbers of test images, and what chose the best step and the setting."""

from pathlib import Path
from typing import Any

from synthetic_classifiers import Classifier, curve, write_classifiers

from lipschitz.report.reading.image_counts import image_counts
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build

PROTOCOLS = {
    "accuracy/test": {"images": 10000},
    "accuracy/train": {"images": 1000},
    "pgd_accuracy/1": {"images": 200, "steps": 20},
    "certified_accuracy/1": {"images": 200},
}
LAST = {"pgd_accuracy/1": 0.5, "certified_accuracy_joint/1": 0.1}
POINTS = curve((0.1, 0.1, 2.3, 2.3), (0.9, 0.8, 0.3, 0.5))


def notes_of(folder: Path, protocols: dict[str, Any]) -> list[str]:
    runs = [Classifier("none", 0, POINTS, LAST, protocols=protocols)]
    tables = build(Summary(load(write_classifiers(folder, runs))))
    return next(table.notes for table in tables if table.title.startswith("Quality"))


def test_notes_say_how_many_images_and_what_chose(tmp_path: Path) -> None:
    notes = notes_of(tmp_path, PROTOCOLS)
    assert "Accuracy and loss: 10000 test images; PGD: 200 test images; certified accuracy: 200 test images." in notes
    chosen = "Chosen: the best step of a run by accuracy/train (1000 training images); nothing by test images."
    assert chosen in notes


def test_runs_that_did_not_record_numbers_have_no_note_of_them(tmp_path: Path) -> None:
    notes = notes_of(tmp_path, {})
    assert not any("test images;" in note for note in notes[:-1])
    assert notes[-1] == "Chosen: the best step of a run by accuracy/train; nothing by test images."


def test_several_protocols_are_a_range(tmp_path: Path) -> None:
    other = PROTOCOLS | {"pgd_accuracy/1": {"images": 50, "steps": 20}}
    runs = [
        Classifier("none", 0, POINTS, LAST, protocols=PROTOCOLS),
        Classifier("aol", 0, POINTS, LAST, protocols=other),
    ]
    results = load(write_classifiers(tmp_path, runs))
    assert {name: n for name, n in image_counts(results, "digits").items() if name.startswith("pgd")} == {
        "pgd_accuracy/1 [protocol 1]": 200,
        "pgd_accuracy/1 [protocol 2]": 50,
    }
    assert image_counts(results, "digits")["certified_accuracy_joint/1"] == 10000
    notes = build(Summary(results))[1].notes
    assert any("PGD: 50 to 200 test images" in note for note in notes)
