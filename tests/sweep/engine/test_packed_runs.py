"""Runs that share a worker: each is what it would be alone, whatever becomes of the others."""

import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from packed_runs import UNLUCKY_ENTRY, jobs_in, outcomes
from sweeps import ONE_CPU, TWO_CPUS, Interrupted, ProgressLog, Stopped, outcome

from lipschitz.sweep.engine.dispatcher import Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_pass import groups_to_time, time_configurations


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What comes of each run in a process of its own."""
    jobs = jobs_in(tmp_path_factory.mktemp("alone") / "runs", f"gradient_penalty, {UNLUCKY_ENTRY}")
    Local().run(jobs, TWO_CPUS, ProgressLog())
    return outcomes(jobs)


@pytest.mark.parametrize("pack", [2, 3])
def test_a_packed_run_equals_the_same_run_alone(tmp_path: Path, alone: list[Any], pack: int) -> None:
    jobs, log = jobs_in(tmp_path / "runs", pack=pack), ProgressLog()
    Local().run(jobs, ONE_CPU, log)
    assert outcomes(jobs) == alone[:3]
    at_once, most = 0, 0
    for line in log.lines:
        at_once += line.startswith("started") - line.startswith("ended")
        most = max(most, at_once)
    assert most == pack
    assert {job.folder.definition()["provenance"][-1]["runs_at_once"] for job in jobs} == {pack}


def test_going_on_in_the_middle_of_a_packed_sweep_equals_an_undisturbed_one(tmp_path: Path, alone: list[Any]) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=2)
    with pytest.raises(KeyboardInterrupt):
        Dispatcher(jobs[:2], ["cpu"], Interrupted(), entry=work_to_100).run()
    assert [job.folder.status() for job in jobs] == ["waiting"] * 3
    assert [{record["step"] for record in job.folder.records()} for job in jobs[:2]] == [{0, 60}, {0}]
    Local().run(jobs, ONE_CPU, ProgressLog())
    assert outcomes(jobs) == alone[:3]


def work_to_100(job: Job, channel: Connection) -> None:
    work(job, Stopped(channel, step=100))  # type: ignore[arg-type]


def unlucky(folder: Path, what: str, often: str) -> tuple[list[Job], ProgressLog]:
    jobs, log = jobs_in(folder / "runs", UNLUCKY_ENTRY, pack=3), ProgressLog()
    (folder / "runs" / "mark").write_text(f"{what} {often}")
    Local().run(jobs, ONE_CPU, log)
    return jobs, log


@pytest.mark.parametrize(
    ("what", "said", "back"),
    [
        ("out_of_memory", "cpu: at most 1 runs at once from now on: torch.OutOfMemoryError: CUDA out of memory.", 2),
        (
            "lacks_a_workspace",
            "cpu: at most 1 runs at once from now on: "
            "RuntimeError: GET was unable to find an engine to execute this computation",
            2,
        ),
        ("dies", "cpu: a worker with 3 runs died (signal 9, SIGKILL); each is started again in a worker to itself", 3),
        (
            "loses_the_device",
            "cpu: a worker with 3 runs died (exit status 1); each is started again in a worker to itself",
            3,
        ),
        ("cannot_be_captured", "not captured as a CUDA graph (slower): RuntimeError: no", 3),
    ],
)
def test_what_happens_once_costs_no_run_anything(
    tmp_path: Path, alone: list[Any], what: str, said: str, back: int
) -> None:
    jobs, log = unlucky(tmp_path, what, "once")
    assert outcomes(jobs) == alone[3:]
    warnings = [line for line in log.lines if line.startswith("warned") and "resuming from step" not in line]
    assert len(warnings) == 1
    assert warnings[0].endswith(said)
    assert sum(line.startswith("returned") for line in log.lines) == back
    assert sum(line.startswith("ended") for line in log.lines) == 3
    assert not any(job.folder.error.exists() for job in jobs)
    at_once = [[origin["runs_at_once"] for origin in job.folder.definition()["provenance"]] for job in jobs]
    if what == "out_of_memory":
        assert sorted(at_once) == [[3], [3, 1], [3, 1]]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("out_of_memory", "out of memory, with no other run in the process"),
        (
            "dies",
            "the worker died (signal 9, SIGKILL); a lack of memory may be the cause (after step 50; it was tried 2 times)",
        ),
        ("exits", "the worker died (exit status 0) after step 50 and left no error message"),
        ("changes_the_dtype", " changed torch's default dtype from torch.float32 to torch.float64; "),
        ("loses_the_device", "device-side assert triggered"),
        ("lacks_a_workspace", "out of memory, with no other run in the process"),
    ],
)
def test_what_happens_again_and_again_costs_one_run(tmp_path: Path, alone: list[Any], what: str, why: str) -> None:
    jobs, _ = unlucky(tmp_path, what, "always")
    assert [job.folder.status() for job in jobs] == ["failed", "finished", "finished"]
    assert why in jobs[0].folder.error.read_text()
    assert outcomes(jobs[1:]) == alone[4:]


def work_until_stopped(job: Job, channel: Connection) -> None:
    work(job, Stopped(channel, 50, signal.SIGSTOP, seed=0))  # type: ignore[arg-type]


def test_a_run_that_hangs_is_ended_and_costs_no_other(
    tmp_path: Path, alone: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(ProgressLog):
        """Lets a worker that has stopped at step 50 of seed 0 be silent for too long."""

        def stepped(self, job: Job, step: int) -> None:
            super().stepped(job, step)
            if (job.run.seed, step) == (0, 50):
                (worker,) = (each for each in dispatcher._workers if job.run.id in each.jobs)
                worker.silent = 4000.0

    monkeypatch.setattr("lipschitz.sweep.engine.worker_process.KILL_GRACE", 0.1)
    jobs, log = jobs_in(tmp_path / "runs", pack=2), Waiting()
    dispatcher = Dispatcher(jobs, ["cpu"], log, entry=work_until_stopped)
    dispatcher.run()
    assert [job.folder.status() for job in jobs] == ["failed", "finished", "finished"]
    assert jobs[0].folder.error.read_text() == (
        "no progress for 3600 s after step 50, so its worker was ended; if its steps or evaluations take longer, raise "
        "--timeout (now 3600 s)\n"
    )
    assert outcomes(jobs[1:]) == alone[1:3]


def test_a_lost_device_costs_no_run_that_comes_after(tmp_path: Path, alone: list[Any]) -> None:
    jobs = jobs_in(tmp_path / "runs", UNLUCKY_ENTRY, pack=3)
    (tmp_path / "runs" / "mark").write_text("loses_the_device always")
    dispatcher = Dispatcher(jobs, ["cpu"], ProgressLog(), work)
    dispatcher._limits["cpu"] = 1
    while dispatcher.has_work():
        dispatcher.dispatch()
        dispatcher.receive()
    assert [job.folder.status() for job in jobs] == ["failed", "finished", "finished"]
    assert outcomes(jobs[1:]) == alone[4:]


@pytest.mark.gpu
def test_on_a_gpu_a_sweep_is_captured_packed_and_equals_its_runs_alone(tmp_path: Path) -> None:
    device = device_kind("cuda:0")
    captured, launched = (
        [
            replace(job, timed_on=device, pack=pack, captures=pack > 1)
            for job in jobs_in(tmp_path / str(pack), pack=pack)
        ]
        for pack in (3, 1)
    )
    gpu = Site(("cuda:0",))
    Local().run(captured, gpu, ProgressLog())
    Local().run(launched, gpu, ProgressLog())
    for ours, theirs in zip(captured, launched, strict=True):
        assert ours.folder.definition()["provenance"][-1]["captured"] is True
        assert theirs.folder.definition()["provenance"][-1]["captured"] is False
        for one, other in zip(outcome(ours)[1], outcome(theirs)[1], strict=True):
            *of, value = other
            # Records have None for a value that is not finite.
            assert [*one] == [*of, value if value is None else pytest.approx(value, rel=1e-3)]


@pytest.mark.gpu
def test_on_a_gpu_a_configuration_is_timed_captured_and_packed(tmp_path: Path) -> None:
    jobs = [replace(job, device="cuda:0", timed_on=device_kind("cuda:0")) for job in jobs_in(tmp_path / "runs")]
    folder = SweepFolder(tmp_path / "runs" / "out")
    time_configurations(groups_to_time(jobs, folder), Local(), ProgressLog())
    timing = jobs[0].timing
    assert timing is not None
    for timed in (timing, timing["launched"]):
        assert timed["ms_discriminator_step"]["median"] > 0
    assert timing["ms_iteration"]["median"] > 0
    assert timing["pack"] in {pack["runs"] for pack in timing["packs"]}
    assert timing["packs"][0]["memory"] > 0
