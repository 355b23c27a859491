"""A sweep that is killed, stopped by a signal or damaged goes on, and ends as an undisturbed one, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz, swept
from sweeps import SMALL, write

from lipschitz.exit_codes import GO_ON_LATER
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.training import checkpoint

SHORT = SMALL.replace("[none, spectral_normalization]", "[spectral_normalization]")
"""Two runs, whose method has a state of its own."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lipschitz", *map(str, arguments)]


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
    done = swept(write(folder, SHORT))
    assert done.returncode == 0, done.stderr
    return folder / "results" / "small"


def test_kill_9_in_the_middle_loses_nothing(undisturbed: Path, tmp_path: Path) -> None:
    """Kill the sweep and its workers once a share of the records is written, go on, and compare bit for bit."""
    expected = outcomes(undisturbed)
    whole = sum(len(records) for _, records in expected.values())
    path = write(tmp_path, SHORT)
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
    path = write(tmp_path, SHORT)
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
