"""Runs are made again from the files of their report, and a sweep goes on from them."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz
from conftest import ENDS
from synthetic import Plan, contents, write_sweep

from lipschitz.errors import InputError
from lipschitz.report.restore import restore
from lipschitz.report.write import report
from lipschitz.sweep.store import SweepFolder


def in_order(record: dict[str, Any]) -> tuple[int, str, float, str]:
    return record["step"], record["metric"], record["seconds"], repr(record["value"])


OVER = {key: end for key, end in ENDS.items() if end == "diverged"}


@pytest.fixture(params=[OVER])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A reported sweep with a diverged run, without its runs."""
    (tmp_path / "sweep").mkdir()
    (tmp_path / "kept").mkdir()
    folder = write_sweep(tmp_path / "sweep", Plan(ends=request.param))
    report(folder, limit_panels=4)
    for name in ("runs", "timing"):
        (folder / name).rename(tmp_path / "kept" / name)
    return folder


def test_restored_runs_give_the_same_report(folder: Path, tmp_path: Path) -> None:
    before, kept = contents(folder), SweepFolder(tmp_path / "kept")
    restored = restore(folder)
    sweep = SweepFolder(folder)
    for run_id in sweep.run_ids():
        old, new = kept.run(run_id), sweep.run(run_id)
        assert new.status() == old.status()
        assert new.definition() == old.definition()
        # Metrics of a step stand in the order of the table's columns.
        assert sorted(map(in_order, new.records())) == sorted(map(in_order, old.records()))
    assert sweep.timings() == kept.timings()
    assert restored == (len(sweep.run_ids()), 0)
    report(folder, limit_panels=4)
    after = contents(folder)
    values = ("records.csv", "outcomes.csv", "summary.csv", "significance.csv", "arrays.npz")
    assert [name for name in values if before[name] != after[name]] == []
    assert {name for name in before if before[name] != after.get(name)} <= {
        "runs.json",
        "index.html",
        "table.md",
        "table.tex",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "runs").mkdir(), "runs: is there already; to restore runs from the report, move it"),
        (lambda folder: (folder / "runs.json").unlink(), "no runs.json; allowed: the folder of a report that this"),
        (lambda folder: (folder / "records.csv").write_text("x"), "records.csv: not as it was written with runs.json"),
        (lambda folder: (folder / "sweep.json").unlink(), "no results of a sweep here"),
    ],
)
def test_what_cannot_be_restored_is_one_line_and_nothing_is_written(folder: Path, change: object, said: str) -> None:
    change(folder)  # type: ignore[operator]
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=said):
        restore(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_converted_folder_says_too_little(folder: Path) -> None:
    path = folder / "runs.json"
    content = json.loads(path.read_text())
    content.pop("checksum")
    path.write_text(json.dumps({**content, "warnings": ["converted"]}))
    with pytest.raises(InputError, match="converted from an earlier version, so its runs cannot be restored"):
        restore(folder)


@pytest.mark.parametrize("folder", [ENDS], indirect=True)
def test_runs_that_were_not_over_are_left_to_train(folder: Path) -> None:
    done = lipschitz("restore", folder, cwd=folder)
    sweep = SweepFolder(folder)
    runs = len(sweep.run_ids())
    assert sorted(run.status() for run in map(sweep.run, sweep.run_ids())).count("waiting") == 3
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{runs - 3} finished runs, without their networks; 3 of the plan are left to train" in done.stdout
