"""Runs that were made with different data, or judged by different networks, are not put into one table."""

import json
from pathlib import Path

import pytest
from synthetic import Plan, dump, write_sweep

from lipschitz.errors import InputError
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.sweep.run_folder import RunFolder

PLAN = Plan(datasets=("eight_gaussians", "digits"), constraints=("none",), seeds=(0, 1, 2), pictures=False)


def give(folder: Path, run: str, **inputs: str) -> None:
    path = folder / "runs" / run / "run.json"
    dump(path, json.loads(path.read_text()) | {"inputs": inputs})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sweep(tmp_path, PLAN)


def test_each_data_set_has_its_own_data_and_old_runs_name_none(folder: Path) -> None:
    give(folder, "digits-hinge-C-none-0", data="a" * 64, classifier="b" * 64)
    give(folder, "digits-hinge-C-none-1", data="a" * 64)
    give(folder, "eight_gaussians-hinge-C-none-0", data="c" * 64)
    results = load(folder)
    assert len(results.runs) == 6
    assert results.warnings == []


def test_different_data_are_refused_in_one_line_that_names_both_and_the_runs(folder: Path) -> None:
    for seed, content in enumerate("aab"):
        give(folder, f"digits-hinge-C-none-{seed}", data=content * 64)
    with pytest.raises(InputError) as error:
        load(folder)
    assert str(error.value) == (
        f"{folder}: runs with different data of digits cannot share a table: SHA-256 aaaaaaaaaaaa (digits-hinge-C-none-0 and 1 "
        "more) and bbbbbbbbbbbb (digits-hinge-C-none-2)"
    )


def test_different_networks_that_judge_are_refused(folder: Path) -> None:
    for seed, content in enumerate("ab"):
        give(folder, f"digits-hinge-C-none-{seed}", classifier=content * 64)
    with pytest.raises(InputError, match="runs with different reference classifiers of digits cannot"):
        load(folder)
    give(folder, "digits-hinge-C-none-1", inception="a" * 64)
    give(folder, "eight_gaussians-hinge-C-none-1", inception="b" * 64)
    with pytest.raises(InputError, match="runs with different Inception weights cannot share a table"):
        load(folder)


def test_facts_of_old_and_new_runs_are_one_protocol(folder: Path) -> None:
    """New runs name the data among the facts of a metric."""
    path = folder / "runs" / "digits-hinge-C-none-0" / "result.json"
    result = json.loads(path.read_text())
    for facts in result["protocols"].values():
        facts["data"] = "SHA-256 0123"
    dump(path, result)
    assert load(folder).warnings == []


def test_a_damaged_run_is_named_counted_and_left_out(folder: Path) -> None:
    run = RunFolder(folder / "runs" / "digits-hinge-C-none-0")
    result = run.result()
    assert result is not None
    run.finish(result, {})
    assert len(load(folder).runs) == 6
    path = run.path / "records.jsonl"
    path.write_text(path.read_text().replace("1", "2", 1))
    results = load(folder)
    assert len(results.runs) == 5
    (warning,) = results.warnings
    assert warning.startswith(f"{path}: damaged, and its run is left out: its SHA-256 is ")
    assert Summary(results).overview == {"planned": 6, "finished": 5, "damaged": 1}
