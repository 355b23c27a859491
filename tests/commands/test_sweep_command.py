"""`lipschitz sweep`: from a file to a report, once more, timed again, in part, and with another definition."""

import csv
import errno
import os
import shutil
from pathlib import Path

import pytest
from command_line import lipschitz, swept
from sweeps import SMALL, write


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = lipschitz("sweep", write(folder), "--workers", 2, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "small"


def test_a_sweep_ends_in_tables_plots_and_a_page(undisturbed: Path) -> None:
    for name in ("records.csv", "summary.csv", "table.md", "table.tex", "index.html", "provenance.json"):
        assert (undisturbed / name).stat().st_size > 0
    for kind in ("svg", "pdf", "png"):
        assert list((undisturbed / "plots").glob(f"quality_by_step*.{kind}"))
    with (undisturbed / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "w1" and row["which"] == "last"]
    assert {row["constraint"]: row["n"] for row in rows if row["constraint"] != "real data"} == {
        "none": "2",
        "spectral_normalization": "2",
    }


def test_a_finished_sweep_runs_nothing_again(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "runs").rglob("*") if path.is_file()}
    done = swept(undisturbed.parents[1] / "small.yaml")
    assert done.returncode == 0
    assert "all runs are finished" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_finished_sweep_is_timed_again(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "small"
    shutil.copytree(undisturbed, folder)
    path = write(tmp_path)
    before = {file: file.read_bytes() for file in folder.glob("timing/*.json")}
    results = {file: file.read_bytes() for file in folder.glob("runs/*/result.json")}
    done = lipschitz("sweep", path, "--retime", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "all runs are finished" in done.stdout
    assert before
    assert all(file.read_bytes() != content for file, content in before.items())
    assert results
    assert all(file.read_bytes() == content for file, content in results.items())
    path = write(tmp_path, SMALL.replace("steps: 120", "seconds: 1"))
    refused = lipschitz("sweep", path, "--retime", "--out", tmp_path / "other", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--retime: budgets in seconds became steps by the timing that they had; allowed: steps" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_status_says_how_each_run_is(undisturbed: Path) -> None:
    done = lipschitz("status", undisturbed, cwd=undisturbed)
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len([line for line in lines if line.startswith("finished ")]) == 4
    assert lines[-1] == "4 runs: 4 finished"


def test_a_limit_of_the_machine_is_one_line(undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(folder: Path, **options: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("lipschitz.commands.status.show_status", lacks)
    done = lipschitz("status", undisturbed, cwd=undisturbed)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: Too many open files: ")


def test_only_some_runs_are_made(tmp_path: Path) -> None:
    path = write(tmp_path)
    command = ("sweep", path, "--limit-steps", 2, "--no-report", "--only", "constraint=none,seed=1")
    done = lipschitz(*command, "--dry-run", cwd=tmp_path)
    assert len([line for line in done.stdout.splitlines() if line.startswith("waiting")]) == 1
    assert "1 unfinished run on" in done.stdout
    trained = lipschitz(*command, cwd=tmp_path)
    assert trained.returncode == 0
    assert "1/1 finished: " in trained.stdout
    status = lipschitz("status", "results/small-limit-2", cwd=tmp_path).stdout
    assert status.splitlines()[-1] == "4 runs: 3 waiting, 1 finished"


def test_another_definition_under_the_same_name(undisturbed: Path, tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("seeds: [0, 1]", "seeds: [0]"))
    done = lipschitz("sweep", path, "--out", undisturbed, cwd=tmp_path)
    assert done.returncode == 2
    assert "seeds was [0, 1], is [0]" in done.stderr
    assert "--force" in done.stderr


def test_force_keeps_the_runs_that_both_have(undisturbed: Path, tmp_path: Path) -> None:
    path = write(tmp_path)
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    path = write(tmp_path, SMALL.replace("seeds: [0, 1]", "seeds: [0]"))
    done = swept(path, "--out", out, "--force")
    assert done.returncode == 0
    assert "all runs are finished" in done.stdout
    assert lipschitz("status", out, cwd=tmp_path).stdout.splitlines()[-1] == "2 runs: 2 finished"
