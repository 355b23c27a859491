"""A results folder without ``runs/`` is reported again, with the same bytes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ENDS
from synthetic import Plan, contents, dump, write_sweep

from lipschitz.commands.status import show_status
from lipschitz.errors import InputError
from lipschitz.report.write import report
from lipschitz.sweep.reported_runs import read_arrays
from lipschitz.sweep.store import SweepFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sweep(tmp_path_factory.mktemp("once"), Plan(ends=ENDS))
    report(folder)
    return folder


def test_the_report_is_made_again_without_the_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_status(folder)
    with_runs, status = contents(folder), capsys.readouterr().out
    for name in ("runs", "timing"):
        shutil.rmtree(folder / name)
    report(folder)
    again = contents(folder)
    assert again.keys() == with_runs.keys()
    assert [name for name, content in with_runs.items() if again[name] != content] == []
    assert any(name.startswith("plots/samples") for name in again)
    show_status(folder)
    of_each, of_all = capsys.readouterr().out.splitlines(), status.splitlines()
    assert of_each[-1] == of_all[-1]
    assert [line.split()[:2] for line in of_each[:-1]] == [line.split()[:2] for line in of_all[:-1]]


def test_arrays_are_kept_of_what_figures_showed_and_stay_without_runs(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(("eight_gaussians",), evaluations=1))
    report(folder, limit_panels=0)
    assert np.load(folder / "arrays.npz").files == []
    report(folder)
    shown = (folder / "arrays.npz").read_bytes()
    assert np.load(folder / "arrays.npz").files != []
    shutil.rmtree(folder / "runs")
    report(folder, limit_panels=0)
    assert (folder / "arrays.npz").read_bytes() == shown


def test_arrays_of_another_run_are_not_mixed(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "arrays.npz", **{"a-s1/samples": np.zeros(2), "a-s10/samples": np.ones(3)})
    assert read_arrays(SweepFolder(tmp_path), "a-s1")["samples"].shape == (2,)
    assert read_arrays(SweepFolder(tmp_path), "b") == {}


@pytest.mark.parametrize("name", ["records.csv", "outcomes.csv"])
def test_numbers_that_were_changed_afterwards_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_sweep(tmp_path, Plan())
    report(folder)
    shutil.rmtree(folder / "runs")
    with (folder / name).open("a") as file:
        file.write("x\n")
    with pytest.raises(InputError, match=f"{name}: not as it was written with runs.json"):
        report(folder)


def test_a_file_of_runs_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan())
    report(folder)
    shutil.rmtree(folder / "runs")
    (folder / "runs.json").write_text("{}")
    with pytest.raises(InputError, match=r"runs.json: cannot be read: KeyError"):
        report(folder)


def test_runs_that_settings_were_chosen_by_are_kept(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(("digits",), evaluations=1, pictures=False))
    definition = json.loads((folder / "sweep.json").read_text())
    by = [run_id for run_id in definition["runs"] if run_id.endswith("-0")]
    group = {"dataset": "digits", "constraint": "none"}
    choice = {"group": group, "setting": "C", "metric": "w1", "value": 1.0, "seeds": [0], "runs": by}
    dump(folder / "sweep.json", {**definition, "chosen": [choice]})
    report(folder)
    with_runs = contents(folder)
    assert b"-0," in with_runs["tuning_records.csv"]
    assert b"-0," not in with_runs["records.csv"]
    shutil.rmtree(folder / "runs")
    report(folder)
    again = contents(folder)
    assert [name for name, content in with_runs.items() if again[name] != content] == []
