"""Processes that join as jobs of SLURM: what is submitted, with a stand-in for sbatch; a real cluster is in benchmarks/."""

import os
import signal
import sys
from pathlib import Path

import pytest
from command_line import lipschitz
from sweeps import write

from lipschitz.errors import InputError
from lipschitz.exit_codes import GO_ON_LATER
from lipschitz.sweep.joining import slurm
from lipschitz.sweep.joining.slurm import Joiner, minutes, parse_options, requeue


def script(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in front of all others of its name."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    if not os.environ["PATH"].startswith(str(path.parent)):
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_options_of_sbatch_are_read() -> None:
    assert parse_options("partition=gpu,time=4:00:00,gpus=1") == {"partition": "gpu", "time": "4:00:00", "gpus": "1"}
    assert parse_options("nodelist=a,b,time=30")["nodelist"] == "a,b"
    with pytest.raises(InputError, match="lacks time"):
        parse_options("partition=gpu")
    for wrong in ("gpu", "time=", "--time=4", "time=4 h;rm"):
        with pytest.raises(InputError, match="--slurm"):
            minutes(parse_options(wrong)["time"])


@pytest.mark.parametrize(
    ("time", "expected"),
    [("30", 30), ("30:01", 31), ("4:00:00", 240), ("1-0", 1440), ("1-2:30", 1590), ("1-2:30:30", 1591), ("0:01", 1)],
)
def test_times_are_read_as_sbatch_reads_them(time: str, expected: int) -> None:
    assert minutes(time) == expected


def test_jobs_that_join_are_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="needs the extra slurm")
    script(tmp_path, "srun", "exit 0", monkeypatch)
    script(tmp_path, "sbatch", 'cat "$1" > submitted; echo Submitted batch job 12', monkeypatch)
    options = ("--slurm", "partition=gpu,time=2,gpus=1", "--jobs", "3", "--checkpoint-seconds", "5")
    done = lipschitz("sweep", write(tmp_path), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 jobs submitted: 12" in done.stdout
    sent = (tmp_path / "submitted").read_text()
    for line in ("--array=0-2%3", "--gpus=1", "--partition=gpu", "--requeue", "--signal=USR1@30", "--time=2"):
        assert f"#SBATCH {line}\n" in sent
    import submitit

    pickled = next((tmp_path / "results/small/slurm").glob("*submitted.pkl"))
    command = submitit.core.utils.DelayedSubmission.load(pickled).function.command
    assert command[:4] == [sys.executable, "-m", "lipschitz", "sweep"]
    assert command[-3:] == ["--checkpoint-seconds", "5", "--join"]
    assert not {"--slurm", "--jobs"} & set(command)
    assert not (tmp_path / "results/small/runs").exists()


def test_what_slurm_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="needs the extra slurm")
    script(tmp_path, "srun", "exit 0", monkeypatch)
    script(tmp_path, "sbatch", "echo sbatch: error: invalid partition specified: gpu >&2; exit 1", monkeypatch)
    done = lipschitz("sweep", write(tmp_path), "--slurm", "partition=gpu,time=2", cwd=tmp_path)
    assert done.returncode == 2
    # The line before is that of sbatch itself.
    assert done.stderr.splitlines()[-1].startswith("error: --slurm: not submitted: sbatch: error: invalid partition")


def test_a_job_that_is_to_go_on_later_is_requeued_unless_it_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.chdir(tmp_path)
    script(tmp_path, "scontrol", 'echo "$@" > asked', monkeypatch)
    script(tmp_path, "squeue", "echo COMPLETING", monkeypatch)
    assert not requeue()
    script(tmp_path, "squeue", "echo RUNNING", monkeypatch)
    assert requeue()
    assert (tmp_path / "asked").read_text() == "requeue 12_3\n"
    asked: list[str] = []
    monkeypatch.setattr(slurm, "requeue", lambda: bool(asked.append("requeued")))
    with pytest.raises(RuntimeError, match="exit code 75"):
        Joiner([sys.executable, "-c", f"raise SystemExit({GO_ON_LATER})"])()
    assert asked == ["requeued"]


def test_before_its_time_is_over_a_job_tells_its_process_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """As submitit does it: in a handler of a signal, while the process is waited for."""
    pytest.importorskip("submitit", reason="needs the extra slurm")
    monkeypatch.setattr(slurm, "requeue", lambda: False)
    code = (
        "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: os._exit(75)); "
        f"os.kill({os.getpid()}, signal.SIGUSR2); signal.pause()"
    )
    joiner, saved = Joiner([sys.executable, "-c", code]), []
    before = signal.signal(signal.SIGUSR2, lambda *_: saved.append(joiner.checkpoint()))
    try:
        with pytest.raises(RuntimeError, match="exit code 75"):
            joiner()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert [delayed.function.command for delayed in saved] == [joiner.command]
