"""Tables of published and our classifiers: values as printed, pairing by data, network and constraint, differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from synthetic_classifiers import Classifier, curve, write_classifiers
from table_text import text_rows

from lipschitz.report.published import classifier_tables
from lipschitz.report.published.work import flatten, read_published_work, works_on_classifiers
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.table import Table
from lipschitz.report.write import report
from lipschitz.tasks.classification.classification import ClassificationTask

XS = {
    "model": {"name": "vgg", "width": 16, "activation": "group_sort"},
    "setting": {"optimiser": {"sgd": {"momentum": 0.9}}, "decay": "one_cycle"},
    "training": {"steps": 100, "batch_size": 256, "augment": ["crop", "flip"]},
}
C4C3F = {"name": "cnn_4c3f", "width": 8, "activation": "relu", "dropout": 0.0, "batch_norm": False}
CERTIFIED = "certified_accuracy_joint/0.141"
SHOWN = "Certified, ε = 36/255"


def runs_of(
    constraint: str,
    dataset: str,
    run: Mapping[str, Any],
    accuracies: list[float],
    last: Mapping[str, float],
    **fields: Any,
) -> list[Classifier]:
    """Return a run for each of ``accuracies`` on test images."""
    points = [curve((0.1, 0.1, 2.3, 2.3), (0.9, accuracy, 0.3, 0.5)) for accuracy in accuracies]
    resolved = {"task": "classification", "dataset": {"name": dataset}, **run}
    labels = {"dataset": dataset, "model": run["model"]["name"]}
    definition = {"name": constraint}
    return [
        Classifier(constraint, seed, one, last, definition, labels, resolved, **fields)
        for seed, one in enumerate(points)
    ]


def tables_of(folder: Path, *runs: list[Classifier]) -> list[Table]:
    return classifier_tables.tables(Summary(load(write_classifiers(folder, [one for some in runs for one in some]))))


def test_values_equal_those_of_the_sources() -> None:
    assert works_on_classifiers() == ("lee2020", "prach2024")
    found = {
        (name, row.method, row.metric): row.value
        for name in works_on_classifiers()
        for row in read_published_work(name).values.itertuples()
    }
    layers = {"AOL": (71.7, 59.1), "BCOP": (71.7, 58.5), "Cayley": (73.1, 59.5), "CPL": (74.9, 62.5)}
    layers |= {"LOT": (75.5, 63.5), "SLL": (73.7, 61.0), "SOC": (74.1, 61.3)}
    for method, (accuracy, certified) in layers.items():
        # The paper rounds to one digit.
        assert found["prach2024", method, "accuracy/test"] == pytest.approx(accuracy, abs=0.0501)
        assert found["prach2024", method, CERTIFIED] == pytest.approx(certified, abs=0.0501)
    metrics = ("accuracy/test", "pgd_accuracy/1.58", "certified_accuracy/1.58")
    rows = {"BCP, README of June 2020": (92.41, 64.70, 47.95), "Wong et al. 2018 (CAP)": (88.39, 62.25, 43.95)}
    for method, values in rows.items():
        assert tuple(found["lee2020", method, metric] for metric in metrics) == values


def test_every_published_row_has_a_method_and_a_column() -> None:
    for name in works_on_classifiers():
        work = read_published_work(name)
        methods = {(method.network, method.name) for method in work.methods if method.name}
        assert set(zip(work.values["network"], work.values["method"], strict=True)) == methods
        assert set(work.values["metric"]) == set(work.heads)


def test_a_row_by_hand(tmp_path: Path) -> None:
    """Accuracies of 70, 71 and 72 percent: s = 1 and t = 4.303, so 71 ± t / √3 = 2.5, and 71.74 is within t √(4/3)."""
    protocols = {"accuracy/test": {"images": 2000}}
    (table,) = tables_of(
        tmp_path, runs_of("aol", "cifar10", XS, [0.70, 0.71, 0.72], {CERTIFIED: 0.4}, protocols=protocols)
    )
    rows = {row["Method"]: row for row in text_rows(table)}
    assert list(rows) == ["AOL", "BCOP", "Cayley", "CPL", "LOT", "SLL", "SOC"]
    aol = rows["AOL"]
    assert (aol["Constraint"], aol["n"], aol["Diverged"]) == ("aol", "3", "0")
    assert (aol["Steps: paper"], aol["Steps: ours"]) == ("1968624", "100")
    assert (aol["Accuracy: paper"], aol["Accuracy: ours"]) == ("71.74", "71.0 ± 2.5")
    assert (aol[f"{SHOWN}: paper"], aol[f"{SHOWN}: ours"]) == ("59.09", "40 ± 0")
    assert (aol["ε = 1: ours"], aol["As published"]) == ("–", "no")
    assert (rows["SOC"]["Constraint"], rows["SOC"]["Accuracy: ours"], rows["SOC"]["n"]) == ("not measured", "–", "–")
    assert rows["SOC"]["Accuracy: paper"] == "74.14"
    assert table.notes[0] == "Accuracy: 1 row run differently: 1 of 1 in the prediction interval."
    assert table.notes[1] == f"{SHOWN}: 1 row run differently: 0 of 1 in the prediction interval."
    assert f"Test images: 10000 published; ours 2000 (Accuracy), 2000 ({SHOWN})." in table.notes
    assert "Training seeds: one published; ours 3." in table.notes


def test_differences_of_steps_network_and_data_are_named(tmp_path: Path) -> None:
    small = {**XS, "task": {"classification": {"train_size": 1000}}, "model": {**XS["model"], "width": 8}}
    (table,) = tables_of(tmp_path, runs_of("soc", "cifar10", small, [0.5], {}))
    (note,) = (note for note in table.notes if note.startswith("Differences"))
    for text in ("steps 100 for 872592", "width 8 for 16", "train_size 1000 for null", "validation 0.1 for 0.0"):
        assert text in note
    assert "model vgg for ConvNetXS" in note
    for text in ("optimiser", "momentum", "batch_size", "augment", "activation"):
        assert text not in note


def test_the_optimiser_and_its_fields_are_compared(tmp_path: Path) -> None:
    other = {**XS, "setting": {"optimiser": {"sgd": {"momentum": 0.5}}, "decay": "one_cycle"}}
    (table,) = tables_of(tmp_path / "momentum", runs_of("soc", "cifar10", other, [0.5], {}))
    assert any("momentum 0.5 for 0.9" in note for note in table.notes)
    other = {**XS, "setting": {"optimiser": "adam", "decay": "one_cycle"}}
    (table,) = tables_of(tmp_path / "adam", runs_of("soc", "cifar10", other, [0.5], {}))
    assert any("optimiser adam for sgd" in note for note in table.notes)


def test_methods_that_were_not_published_stand_beside_the_published_ones(tmp_path: Path) -> None:
    last = {"pgd_accuracy/1.58": 0.5, "certified_accuracy/1.58": 0.25}
    run = {"model": C4C3F, "setting": {"optimiser": "adam", "lr": 0.0003, "decay": "step"}}
    (table,) = tables_of(
        tmp_path, runs_of("none", "mnist", run, [0.9], last), runs_of("aol", "mnist", run, [0.8], last)
    )
    rows = [list(row.values()) for row in text_rows(table)]
    bcp = ["not measured", "72000", "–", "–", "–", "92.41", "–", "64.70", "–", "47.95", "–", "–"]
    assert rows[0] == ["BCP, README of June 2020", *bcp]
    assert rows[2][:5] == ["Wong et al. 2018 (CAP)", "not measured", "–", "–", "–"]
    none = ["–", "none", "–", "100", "1", "0", "–", "90", "–", "50", "–", "25", "–"]
    assert rows[4:] == [none, [*none[:1], "aol", *none[2:7], "80", *none[8:]]]
    (note,) = (note for note in table.notes if note.startswith("Differences"))
    assert "every row: steps 100 for 72000" in note
    assert "width 8 for 32" in note
    assert not any("prediction interval" in note for note in table.notes)
    assert any("smallest verified error on the test images" in note for note in table.notes)


@pytest.mark.parametrize(
    ("constraint", "dataset", "model"),
    [("none", "cifar10", "vgg"), ("aol", "cifar100", "vgg"), ("aol", "mnist", "gouk_cnn"), ("aol", "cifar10", "")],
)
def test_other_data_networks_and_constraints_have_no_table(
    constraint: str, dataset: str, model: str, tmp_path: Path
) -> None:
    runs = runs_of(constraint, dataset, {"model": {"name": model}}, [0.5], {})
    if not model:
        runs = [one._replace(run={**one.run, "constraints": [{"name": "aol"}, {"name": "none"}]}) for one in runs]
    assert tables_of(tmp_path, runs) == []


def test_a_diverged_seed_is_counted_and_in_no_mean(tmp_path: Path) -> None:
    runs = runs_of("aol", "cifar10", XS, [0.5, 0.7], {})
    (table,) = tables_of(tmp_path, [runs[0], runs[1]._replace(status="diverged")])
    row = text_rows(table)[0]
    assert (row["Accuracy: ours"], row["n"], row["Diverged"]) == ("50", "1", "1")


def test_omitted_fields_of_the_task_have_its_defaults() -> None:
    flat = flatten({"task": "classification"})
    task = ClassificationTask()
    assert (flat["task.train_size"], flat["task.validation"]) == (task.train_size, task.validation)


def test_the_report_has_the_table(tmp_path: Path) -> None:
    folder = write_classifiers(tmp_path, runs_of("aol", "cifar10", XS, [0.5], {}))
    report(folder, limit_panels=0)
    assert "Classifiers, published and ours" in (folder / "table.md").read_text()
    assert "arXiv:2311.16833" in (folder / "index.html").read_text()
    assert "U+" not in (folder / "table.tex").read_text()
