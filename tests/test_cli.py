"""The command line: exit codes, one clear line for each mistake, nothing lost.

Most commands run in this process; what signals, locks and the installed script do is tested with processes.
"""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, lipschitz
from sweeps import SMALL, write

from lipschitz.commands.list import LISTINGS
from lipschitz.exit_codes import GO_ON_LATER
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.store import SweepFolder
from lipschitz.training import checkpoint


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lipschitz", *map(str, arguments)]


def swept(path: Path, *options: object) -> Done:
    """Run a sweep in the folder of its file, without the report."""
    return lipschitz("sweep", path, "--workers", 2, "--no-report", *options, cwd=path.parent)


def is_running(process: subprocess.Popen[Any]) -> bool:
    """Look whether a process ends within a moment, which leaves the core to what it does."""
    try:
        process.wait(0.02)
    except subprocess.TimeoutExpired:
        return True
    return False


def outcomes(folder: Path) -> dict[str, Any]:
    """Return what each run measured, without what a clock says."""
    found: dict[str, Any] = {}
    for run in sorted((folder / "runs").iterdir()):
        result = json.loads((run / "result.json").read_text())
        records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        found[run.name] = (
            {key: value for key, value in result.items() if key not in ("seconds", "files", "checksum")},
            [(record["step"], record["metric"], record["value"]) for record in records],
        )
    return found


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


def test_kill_9_in_the_middle_loses_nothing(undisturbed: Path, tmp_path: Path) -> None:
    """Kill the sweep and its workers once a share of the records is written, go on, and compare bit for bit."""
    expected = outcomes(undisturbed)
    whole = sum(len(records) for _, records in expected.values())
    path = write(tmp_path)
    process = subprocess.Popen(
        command("sweep", path, "--workers", 2, "--no-report"),
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    folder = tmp_path / "results" / "small"
    while is_running(process):
        written = sum(file.read_text().count("\n") for file in folder.glob("runs/*/records.jsonl"))
        if written >= 0.4 * whole:
            break
    process.kill()
    process.wait()
    done = swept(path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert outcomes(folder) == expected


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, GO_ON_LATER), (signal.SIGUSR1, GO_ON_LATER)]
)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(
    undisturbed: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    path = write(tmp_path)
    process = subprocess.Popen(
        command("sweep", path, "--workers", 1), cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    folder = tmp_path / "results" / "small"
    while is_running(process) and not list(folder.glob("runs/*/records.jsonl")):
        pass
    # As a terminal does it, or `timeout`: to every process of the group.
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"stopped by {number.name}: run the same command again; each run continues from its last checkpoint" in out
    (begun,) = {
        path.parent for path in folder.glob("runs/*/records.jsonl") if not (path.parent / "result.json").exists()
    }
    step = json.loads((begun / "heartbeat.json").read_text())["step"]
    assert checkpoint.read(begun / "checkpoint.pt")["step"] == step
    assert f"{begun.name}  interrupted, step {step} of 120" in lipschitz("status", folder, cwd=tmp_path).stdout
    assert swept(path).returncode == 0
    assert outcomes(folder) == outcomes(undisturbed)


def test_a_broken_checkpoint_is_named_and_costs_only_what_came_after_the_one_before(
    undisturbed: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, SMALL.replace("[none, spectral_normalization]", "[none]").replace("[0, 1]", "[0]"))
    assert swept(path, "--keep-checkpoints").returncode == 0
    folder = tmp_path / "results" / "small"
    expected = outcomes(folder)
    (run,) = (folder / "runs").iterdir()
    (run / "result.json").unlink()
    (run / "checkpoint.pt").write_bytes(b"torn")
    done = swept(path)
    assert done.returncode == 0
    assert "checkpoint.pt: checkpoint set aside as checkpoint.pt.broken: damaged: not its checksum" in done.stdout
    assert lipschitz("status", folder, cwd=tmp_path).stdout.splitlines()[-1] == "1 run: 1 finished"
    assert outcomes(folder) == expected


def test_two_sweeps_at_once_on_one_folder(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("steps: 120", "steps: 100000"))
    folder = tmp_path / "results" / "small"
    first = subprocess.Popen(command("sweep", path, "--workers", 1), cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        while is_running(first) and not (folder / "sweep.json").exists():
            pass
        second = lipschitz("sweep", path, cwd=tmp_path)
        assert second.returncode == 2
        assert "another sweep is running in this folder" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_a_failed_run_is_named_with_its_traceback_and_tried_again(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("[0, 1]", "[0]"))
    folder = tmp_path / "results" / "small"
    run_id = load_sweep(path).runs[0].id
    obstacle = folder / "runs" / run_id / "records.jsonl"
    obstacle.mkdir(parents=True)
    done = swept(path)
    assert done.returncode == 1
    assert f"failed: {run_id}; traceback in results/small/runs/{run_id}/error.txt" in done.stdout
    assert f"failed   {run_id}" in lipschitz("status", folder, cwd=tmp_path).stdout
    obstacle.rmdir()
    assert swept(path).returncode == 0
    assert lipschitz("status", folder, cwd=tmp_path).stdout.splitlines()[-1] == "2 runs: 2 finished"


def test_status_says_how_each_run_is(undisturbed: Path) -> None:
    done = lipschitz("status", undisturbed, cwd=undisturbed)
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len([line for line in lines if line.startswith("finished ")]) == 4
    assert lines[-1] == "4 runs: 4 finished"


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = lipschitz("sweep", path, "--dry-run", "--limit-steps", 20, cwd=tmp_path)
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if line.startswith("waiting")]) == 4
    assert "4 runs of 2 configurations, 80 steps -> results/small-limit-20" in done.stdout
    assert "min of training" in done.stdout
    assert list(tmp_path.iterdir()) == [path]


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


def test_one_of_a_thing_is_singular(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("[none, spectral_normalization]", "[none]").replace("[0, 1]", "[0]"))
    path.write_text(path.read_text().replace("batch_size: 8", "batch_size: 8, ema: 0.999"))
    done = lipschitz("sweep", path, "--dry-run", "--workers", 1, cwd=tmp_path)
    assert "1 run of 1 configuration, 120 steps" in done.stdout
    assert "1 unfinished run on 1 worker: " in done.stdout
    assert done.stdout.count("warning: training.ema 0.999 over 120 steps: the average still holds 89%") == 1


MISTAKES = {
    "an unknown constraint": (SMALL.replace("[none", "[nine"), [], "unknown constraint 'nine'; did you mean 'none'?"),
    "no file": (None, [], "absent.yaml: cannot be read"),
    "no data": (
        SMALL.replace("[eight_gaussians]\n    models: [{mlp: {width: 8, depth: 1}}]", "[mnist]"),
        [],
        "--data-root",
    ),
    "no CUDA": (SMALL, ["--device", "cuda:99"], "--device cuda:99"),
    "an unknown device": (SMALL, ["--device", "tpu"], "no such device"),
    "no place for results": (SMALL, ["--out", "/proc/nowhere"], "results cannot be written here"),
    "negative steps": (SMALL.replace("120", "-5"), [], "greater than or equal to 1, found -5"),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_one_line_exit_2_and_nothing_written(tmp_path: Path, mistake: str) -> None:
    text, options, said = MISTAKES[mistake]
    path = tmp_path / "absent.yaml" if text is None else write(tmp_path, text)
    before = sorted(tmp_path.rglob("*"))
    done = lipschitz("sweep", path, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


USAGE = {
    "an unknown command": (["foo"], "No such command 'foo'"),
    "an unknown option": (["sweep", "--nope"], "No such option"),
    "a missing argument": (["sweep"], "Missing argument"),
    "a word for a number": (["sweep", "small.yaml", "--workers", "two"], "Invalid value for '--workers': "),
    "no workers": (["sweep", "small.yaml", "--workers", 0], "Invalid value for '--workers': "),
}


@pytest.mark.parametrize("case", USAGE, ids=str)
def test_a_wrong_option_or_command_is_one_line_and_exit_2(tmp_path: Path, case: str) -> None:
    arguments, said = USAGE[case]
    done = lipschitz(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.endswith(" --help`\n")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_limit_of_the_machine_is_one_line(undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(folder: Path, **options: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("lipschitz.commands.status.show_status", lacks)
    done = lipschitz("status", undisturbed, cwd=undisturbed)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: Too many open files: ")


def test_without_arguments_the_help_is_shown(tmp_path: Path) -> None:
    done = lipschitz(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr


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


LISTED = {
    "augmentations": "2006.10738",
    "constraints": "1802.05957",
    "datasets": "1704.00028",
    "engines": "local",
    "losses": "1406.2661",
    "metrics": "1706.08500",
    "models": "1802.05957",
    "observers": "tensorboard",
    "optimisers": "adam",
    "protocols": "sngan",
    "settings": "Miyato",
    "tasks": "transport",
}


@pytest.mark.parametrize("kind", LISTED)
def test_list(kind: str, tmp_path: Path) -> None:
    done = lipschitz("list", kind, cwd=tmp_path)
    assert done.returncode == 0
    assert LISTED[kind] in done.stdout


def test_everything_is_listed_by_default_and_named_in_the_help(tmp_path: Path) -> None:
    titles = {line.strip() for line in lipschitz("list", cwd=tmp_path).stdout.splitlines()}
    assert set(LISTED) <= titles
    assert set(LISTED) == set(LISTINGS)
    shown = lipschitz("list", "--help", cwd=tmp_path).stdout
    assert all(kind in shown for kind in LISTED)


def test_an_unknown_kind_is_named(tmp_path: Path) -> None:
    done = lipschitz("list", "modles", cwd=tmp_path)
    assert done.returncode == 2
    assert "'modles'; did you mean 'models'?" in done.stderr


def test_the_installed_script_is_the_command_line() -> None:
    script = Path(sys.executable).with_name("lipschitz")
    if not script.exists():
        pytest.skip("needs an installed lipschitz")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(
        f" {name} " in done.stdout for name in ("sweep", "report", "status", "measure", "data", "list", "schema")
    )


def test_the_schema_is_written(tmp_path: Path) -> None:
    assert lipschitz("schema", "--out", tmp_path / "sweep.schema.json", cwd=tmp_path).returncode == 0
    assert "constraints" in json.loads((tmp_path / "sweep.schema.json").read_text())["properties"]


@pytest.mark.parametrize(("place", "why"), [("no/x.json", "No such file or directory"), ("", "Is a directory")])
def test_a_place_where_no_schema_can_be_written(place: str, why: str, tmp_path: Path) -> None:
    out = tmp_path / place
    done = lipschitz("schema", "--out", out, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {out}: {why}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["report", "status"])
def test_a_file_instead_of_a_folder_of_results(verb: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SMALL)
    done = lipschitz(verb, "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    own = "such as results/NAME for a sweep file with name: NAME"
    assert done.stderr == f"error: mine.yaml is a file; expected a folder of results, {own}\n"


@pytest.mark.parametrize("verb", ["report", "status"])
def test_a_folder_without_results(verb: str, tmp_path: Path) -> None:
    done = lipschitz(verb, tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "sweep.json" in done.stderr


def test_a_dry_run_needs_no_data(tmp_path: Path) -> None:
    path = write(
        tmp_path, SMALL.replace("eight_gaussians", "cifar10").replace("mlp: {width: 8, depth: 1}", "dcgan: {width: 2}")
    )
    done = lipschitz("sweep", path, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: data set cifar10 not found in data" in done.stdout
    assert "4 unfinished runs on" in done.stdout
    assert "time not measured" in done.stdout
    assert "predicted, not measured: 4 runs on one H200, one after the other: about 0.0 min of training" in done.stdout
    assert "and 3.3 min of evaluation" in done.stdout


def test_a_dry_run_warns_of_results_of_another_definition(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    plan = load_sweep(path, out=tmp_path / "out")
    plan.folder.mkdir()
    SweepFolder(plan.folder).define(plan.definition())
    assert "warning" not in lipschitz("sweep", path, "--out", plan.folder, "--dry-run", cwd=tmp_path).stdout
    write(tmp_path, SMALL.replace("batch_size: 8", "batch_size: 4"))
    done = lipschitz("sweep", path, "--out", plan.folder, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"warning: {plan.folder}: made by another definition, of which 4 runs" in done.stdout.replace("\n", " ")


def test_a_dry_run_warns_of_weights_and_of_a_precision_that_are_not_there(tmp_path: Path) -> None:
    text = SMALL.replace("eight_gaussians", "digits").replace("mlp: {width: 8, depth: 1}", "dcgan: {width: 2}")
    text = text.replace("batch_size: 8", "batch_size: 8, precision: tf32")
    text = text.replace("samples: 32", "samples: 32, protocols: [{sngan: {n_real: 20, n_fake: 6, score_samples: 10}}]")
    done = lipschitz("sweep", write(tmp_path, text), "--dry-run", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: precision tf32 is not supported on cpu" in done.stdout
    assert "warning: no weights of the FID's Inception network" in done.stdout
    assert "time not measured" in done.stdout
