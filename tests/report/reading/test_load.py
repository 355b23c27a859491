"""Reading a results folder: records, unreadable runs, definitions and protocols."""

import json
import shutil
from pathlib import Path

import pytest
from synthetic import Plan, write_sweep

from lipschitz.errors import InputError
from lipschitz.report.reading.comparisons import flatten
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

SMALL = Plan(
    datasets=("eight_gaussians",), constraints=("none", "spectral_normalization"), seeds=(0, 1), pictures=False
)
NONE = "eight_gaussians-hinge-C-none-0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "sweep", SMALL)


def test_every_complete_line_is_a_record(folder: Path) -> None:
    lines = sum(len(path.read_text().splitlines()) for path in folder.glob("runs/*/records.jsonl"))
    with (folder / "runs" / NONE / "records.jsonl").open("a") as file:
        file.write('{"step": 2000, "seco')
    sweep = load(folder)
    assert len(sweep.records) == lines
    assert sweep.warnings == []


@pytest.mark.parametrize("broken", ["run.json", "records.jsonl"])
def test_an_unreadable_run_is_named_and_the_others_are_reported(folder: Path, broken: str) -> None:
    (folder / "runs" / NONE / broken).write_text("{not json\n")
    sweep = load(folder)
    assert len(sweep.runs) == 3
    assert len(sweep.warnings) == 1
    assert NONE in sweep.warnings[0]
    assert "\n" not in sweep.warnings[0]


def test_a_record_without_a_value_is_an_unreadable_run(folder: Path) -> None:
    (folder / "runs" / NONE / "records.jsonl").write_text('{"step": 1, "seconds": 0.1, "metric": "w1"}\n')
    assert NONE in load(folder).warnings[0]


def test_runs_that_were_not_started_are_counted(folder: Path) -> None:
    shutil.rmtree(folder / "runs" / NONE)
    assert Summary(load(folder)).overview == {"planned": 4, "finished": 3, "waiting": 1}


def test_an_average_that_holds_its_initial_weights_is_named(folder: Path) -> None:
    for path in folder.glob("runs/*/run.json"):
        definition = json.loads(path.read_text())
        definition["run"]["training"]["ema"] = 0.9999
        path.write_text(json.dumps(definition))
    (warning,) = load(folder).warnings
    assert "training.ema 0.9999 over" in warning


def test_without_a_started_run_the_error_is_one_line(folder: Path) -> None:
    shutil.rmtree(folder / "runs")
    with pytest.raises(InputError, match=r"nothing to report: no run was started$") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_with_tables_alone_says_that_its_runs_are_not_there(folder: Path) -> None:
    shutil.rmtree(folder / "runs")
    (folder / "table.md").write_text("")
    with pytest.raises(InputError) as caught:
        load(folder)
    reason = f"{folder}: its runs are neither in {folder / 'runs'} nor in runs.json; `lipschitz sweep FILE` trains them"
    assert str(caught.value) == reason


def test_without_a_readable_run_the_error_is_one_line(folder: Path) -> None:
    for path in folder.glob("runs/*/run.json"):
        path.unlink()
    first = folder / "runs" / NONE
    said = f"nothing to report: no run was started, or none can be read; the first: {first}: cannot be read"
    with pytest.raises(InputError, match=said) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_without_sweep_json_the_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sweep\.json"):
        load(tmp_path)


def test_runs_with_equal_labels_but_different_definitions_are_separate_settings(folder: Path) -> None:
    for run in folder.glob("runs/*none-1"):
        definition = json.loads((run / "run.json").read_text())
        definition["configuration"] = "other"
        definition["run"]["training"]["batch_size"] = 7
        (run / "run.json").write_text(json.dumps(definition))
    runs = load(folder).runs
    settings = runs["setting"]
    parts = runs[["setting_name", "precision", "extra"]]
    assert list(parts.loc[NONE]) == ["C", "", "training.batch_size=64"]
    assert list(parts.loc["eight_gaussians-hinge-C-spectral_normalization-0"]) == ["C", "", ""]
    assert settings[NONE] == "C [training.batch_size=64]"
    assert settings[NONE.replace("none-0", "none-1")] == "C [training.batch_size=7]"
    assert settings["eight_gaussians-hinge-C-spectral_normalization-0"] == "C"


def test_two_protocols_of_one_metric_have_different_names(folder: Path) -> None:
    path = folder / "runs" / NONE / "result.json"
    result = json.loads(path.read_text())
    result["protocols"]["w1"]["n_real"] = 17
    path.write_text(json.dumps(result))
    sweep = load(folder)
    metric_of = sweep.outcomes[sweep.outcomes["metric"].str.startswith("w1")].groupby("run")["metric"].unique()
    assert list(metric_of[NONE]) == ["w1 [protocol 1]"]
    assert list(metric_of["eight_gaussians-hinge-C-none-1"]) == ["w1 [protocol 2]"]
    assert "w1" not in set(sweep.records["metric"])
    assert any("2 protocols" in warning for warning in sweep.warnings)
    facts = sweep.protocols.set_index("metric")["facts"]
    assert (facts["w1 [protocol 1]"]["n_real"], facts["w1 [protocol 2]"]["n_real"]) == (17, 2000)
    assert "modes" in set(sweep.records["metric"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"commit": "b" * 40}, "commit aaaaaaaa, torch 2, cpu: a (4 runs); commit bbbbbbbb, torch 2, cpu: a (1 run)"),
        (
            {"dirty": True},
            "commit aaaaaaaa with changes, torch 2, cpu: a (1 run); commit aaaaaaaa, torch 2, cpu: a (4 runs)",
        ),
        (
            {"versions": {"torch": "3"}},
            "commit aaaaaaaa, torch 2, cpu: a (4 runs); commit aaaaaaaa, torch 3, cpu: a (1 run)",
        ),
        ({"device": "cuda: b"}, "commit aaaaaaaa, torch 2, cpu: a (4 runs); commit aaaaaaaa, torch 2, cuda: b (1 run)"),
    ],
    ids=["alike", "commit", "dirty", "version", "device"],
)
def test_runs_of_different_origin_in_one_table_are_warned_of(
    folder: Path, change: dict[str, object], said: str | None
) -> None:
    origin = {"commit": "a" * 40, "dirty": False, "versions": {"torch": "2", "numpy": "1"}, "device": "cpu: a"}
    for path in folder.glob("runs/*/run.json"):
        origins = [origin, origin | change] if path.parent.name == NONE else [origin]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": origins}))
    expected = [] if said is None else [f"one table holds runs of different code, versions or devices: {said}"]
    assert load(folder).warnings == expected


def test_runs_on_processors_of_different_instruction_sets_are_warned_of(folder: Path) -> None:
    origin = {"commit": "a" * 40, "versions": {"torch": "2"}, "device": "cpu: a", "kernels": {"capability": "AVX512"}}
    for path in folder.glob("runs/*/run.json"):
        kernels = {"capability": "AVX2"} if path.parent.name == NONE else origin["kernels"]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": [origin | {"kernels": kernels}]}))
    assert load(folder).warnings == [
        "one table holds runs of different instruction sets, whose sums differ in their last bits: AVX2 (1 run); "
        "AVX512 (3 runs)"
    ]


def test_nested_dicts_are_flattened_by_path() -> None:
    nested = {"a": {"b": 1, "c": {"d": [2]}, "e": {}}, "f": None}
    assert flatten(nested) == {"a.b": 1, "a.c.d": [2], "f": None}
    assert flatten(nested, " ") == {"a b": 1, "a c d": [2], "f": None}


def test_unsteady_timings_are_warned_of(folder: Path) -> None:
    path = next((folder / "timing").iterdir())
    timing = json.loads(path.read_text()) | {"rounds": {"ms_discriminator_step": [1.0, 2.0, 1.5]}}
    path.write_text(json.dumps(timing))
    (line,) = load(folder).warnings
    assert "1 of 1 timings differ by over 10% between rounds" in line
