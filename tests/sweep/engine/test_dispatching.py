"""Runs that share a worker: each is what it would be alone, whatever becomes of the others."""

import math
import signal
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from sweeps import ONE_CPU, TWO_CPUS, Interrupted, ProgressLog, Stopped, outcome, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.dispatcher import Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.engine.worker_process import WorkerProcess
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_pass import groups_to_time, time_configurations

TEXT = """\
    name: packed
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [CONSTRAINTS]
    seeds: [0, 1, 2]
    training: {steps: 120, batch_size: 8}
    evaluation: {every: 60, samples: 32, gradient_samples: 8}
"""
UNLUCKY = '''
import os, signal
from pathlib import Path
import torch
from lipschitz.constraints.base import Constraint
from lipschitz.random_streams import stream_seed
from lipschitz.training.iterations import Uncapturable

def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory.")

def lacks_a_workspace():
    raise RuntimeError("GET was unable to find an engine to execute this computation")

def lacks_memory_for_a_graph():
    raise Uncapturable("AcceleratorError: CUDA error: out of memory", lacked_memory=True)

def dies():
    os.kill(os.getpid(), signal.SIGKILL)

def exits():
    os._exit(0)

def changes_the_dtype():
    torch.set_default_dtype(torch.float64)

def loses_the_device():
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

def cannot_be_captured():
    raise Uncapturable("RuntimeError: no")

class Unlucky(Constraint):
    """Something happens to the run of seed 0, as long as a file says so."""
    source, promise = "this test", "none"

    def project(self, net):
        pass

    def penalty(self, net, batch, rng):
        mark = Path(__file__).with_name("mark")
        if rng.initial_seed() == stream_seed(0, "constraint") and mark.exists():
            what, often = mark.read_text().split()
            net.unlucky = getattr(net, "unlucky", 0) + 1
            if net.unlucky == 55:
                if often == "once":
                    mark.unlink()
                globals()[what]()
        return batch.real.new_zeros(())
'''
UNLUCKY_ENTRY = "unlucky.py:Unlucky"


def jobs_in(folder: Path, constraints: str = "gradient_penalty", pack: int = 1) -> list[Job]:
    folder.mkdir()
    (folder / "unlucky.py").write_text(UNLUCKY)
    runs = load_sweep(write(folder, TEXT.replace("CONSTRAINTS", constraints))).runs
    (folder / "out").mkdir()
    return [Job(run, folder / "out", ONE_CPU, "cpu", {"device": "cpu"}, "cpu: a", pack=pack) for run in runs]


def outcomes(jobs: Sequence[Job]) -> list[Any]:
    return [outcome(job) for job in jobs]


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


def test_a_worker_is_waited_for_as_long_as_its_runs_may_take(tmp_path: Path) -> None:
    _, worker = dispatcher_with([], jobs_in(tmp_path / "runs"))
    worker.silent = 100.0
    assert worker.patience == 3500.0
    worker.jobs.clear()
    assert worker.patience == -40.0, "one that is done leaves within a minute"


def test_a_message_is_a_sign_of_life(tmp_path: Path) -> None:
    dispatcher, worker = dispatcher_with([], jobs_in(tmp_path / "runs"))
    worker.silent = 100.0
    dispatcher._handle(worker, "alive")
    assert worker.silent == 0.0


def test_a_run_whose_worker_is_stopped_by_someone_else_is_tried_once_more(tmp_path: Path) -> None:
    (job, *_) = jobs_in(tmp_path / "runs")
    stopped = "its worker got a SIGTERM or SIGUSR1 that this sweep did not send"
    dispatcher, worker = dispatcher_with([], [job])
    dispatcher._handle(worker, "stopped", job.run.id)
    assert list(dispatcher._queue) == [job]
    assert not job.folder.error.exists()
    worker.jobs[job.run.id] = job
    dispatcher._handle(worker, "stopped", job.run.id)
    assert list(dispatcher._queue) == [job], "not again"
    assert job.folder.error.read_text() == f"{stopped} (before its first step; it was tried 2 times)\n"


class Channel:
    """A parent's end, into which a test puts what a worker says."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.given: list[Job | None] = []

    def poll(self) -> bool:
        return bool(self.said)

    def recv(self) -> Any:
        return self.said.pop(0)

    def send(self, job: Job | None) -> None:
        self.given.append(job)


class Process:
    def __init__(self, exitcode: int | None = None) -> None:
        self.exitcode = exitcode


def dispatcher_with(
    jobs: Sequence[Job], held: Sequence[Job], exitcode: int | None = None
) -> tuple[Dispatcher, WorkerProcess]:
    """A dispatcher with one worker that holds some jobs, of which it began the first."""
    dispatcher = Dispatcher(jobs, [], ProgressLog(), work)
    dispatcher._limits["cpu"] = math.inf
    begun = {job.run.id for job in held[:1]}
    worker = WorkerProcess(Process(exitcode), Channel(), "cpu", {job.run.id: job for job in held}, begun)  # type: ignore[arg-type]
    dispatcher._workers.append(worker)
    return dispatcher, worker


def test_what_cannot_be_captured_is_not_tried_again(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=2)
    dispatcher, worker = dispatcher_with([], jobs[:1])
    assert dispatcher._placed(jobs[1], "cpu").captures
    dispatcher._handle(worker, "leaving")
    dispatcher._handle(worker, "returned", [jobs[0].run.id], 0, "RuntimeError: no")
    assert not dispatcher._placed(jobs[1], "cpu").captures
    assert list(dispatcher._queue) == jobs[:1]


def test_a_run_that_another_process_goes_on_with_waits_again(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=2)
    dispatcher, worker = dispatcher_with([], jobs[:1])
    dispatcher._handle(worker, "left", jobs[0].run.id)
    assert (list(dispatcher._queue), worker.jobs) == (jobs[:1], {})


def test_a_worker_that_leaves_is_given_nothing_more(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    dispatcher, worker = dispatcher_with(jobs[1:], jobs[:1])
    worker.channel.said = [("leaving",), ("ended", jobs[0].run.id)]  # type: ignore[attr-defined]
    dispatcher._read_messages(worker)
    dispatcher.dispatch()
    assert worker.channel.given == []  # type: ignore[attr-defined]
    assert list(dispatcher._queue) == jobs[1:]


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_that_ends_its_process_fails_and_what_had_not_begun_waits_again(tmp_path: Path, code: int) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    dispatcher, worker = dispatcher_with([], jobs, code)
    jobs[0].folder.path.mkdir(parents=True)
    dispatcher._workers.remove(worker)
    dispatcher._requeue_lost_jobs(worker)
    assert list(dispatcher._queue) == jobs[1:]
    assert [job.folder.error.exists() for job in jobs] == [True, False, False]
    died = f"the worker died (exit status {code}) before its first step and left no error message\n"
    assert jobs[0].folder.error.read_text() == died


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


def test_a_limit_never_rises(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    dispatcher, worker = dispatcher_with([], jobs)
    for index, (runs, limit) in enumerate(((2, 2), (1, 1), (2, 1))):
        dispatcher._handle(worker, "returned", [jobs[index].run.id], runs, "out of memory")
        assert dispatcher._limits["cpu"] == limit


def gpu_dispatcher(jobs: Sequence[Job], places: int) -> Dispatcher:
    """A dispatcher with as many workers on one GPU, each with one job, in the order of the jobs."""
    dispatcher = Dispatcher(jobs[places:], ["cuda:0"] * places, ProgressLog(), work)
    dispatcher._free_devices.clear()
    for job in jobs[:places]:
        placed = dispatcher._placed(job, "cuda:0")
        worker = WorkerProcess(Process(), Channel(), "cuda:0", {job.run.id: placed}, {job.run.id})  # type: ignore[arg-type]
        dispatcher._workers.append(worker)
    return dispatcher


def test_a_run_that_lacks_memory_beside_other_workers_is_made_by_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "join", lambda self: None, raising=False)
    monkeypatch.setattr(Channel, "close", lambda self: None, raising=False)
    jobs = jobs_in(tmp_path / "runs", pack=2)
    dispatcher = gpu_dispatcher(jobs, 2)
    first, second = dispatcher._workers
    assert first.jobs[jobs[0].run.id].shares_gpu
    dispatcher._handle(first, "crowded", jobs[0].run.id, "CUDA out of memory")
    log = dispatcher._progress
    assert isinstance(log, ProgressLog)
    assert log.warnings == ["cuda:0: at most 1 worker from now on: CUDA out of memory"]
    assert [job.run.seed for job in dispatcher._queue] == [0, 2]
    assert first.channel.given == [None], "it ends"  # type: ignore[attr-defined]
    dispatcher._remove(first)
    assert not dispatcher._free_devices, "its place is given up"
    dispatcher.dispatch()
    # The other worker makes it, and is then alone: what it lacks now is said by the run.
    (given,) = second.channel.given  # type: ignore[attr-defined]
    assert (given.run.seed, given.shares_gpu) == (0, False)
    dispatcher._handle(second, "crowded", jobs[1].run.id, "CUDA out of memory")
    dispatcher._remove(second)
    assert [*dispatcher._free_devices] == ["cuda:0"], "one place stays"


def test_a_place_that_is_free_is_given_up_first(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs")
    dispatcher = gpu_dispatcher(jobs[:2], 2)
    dispatcher._places["cuda:0"] += 1
    dispatcher._free_devices.append("cuda:0")
    dispatcher._handle(dispatcher._workers[0], "crowded", jobs[0].run.id, "CUDA out of memory")
    assert not dispatcher._free_devices
    assert dispatcher._places["cuda:0"] == 2


def test_on_a_cpu_workers_are_not_counted(tmp_path: Path) -> None:
    dispatcher = Dispatcher([], ["cpu", "cpu"], ProgressLog(), work)
    assert not dispatcher._placed(jobs_in(tmp_path / "runs")[0], "cpu").shares_gpu


def test_shares_of_a_worker_add_up_to_one_at_most(tmp_path: Path) -> None:
    job = jobs_in(tmp_path / "runs")[0]
    of_two, of_four = (replace(job, pack=pack) for pack in (2, 4))
    worker = WorkerProcess(None, None, "cpu", {"a": of_two})  # type: ignore[arg-type]
    assert worker.has_room(of_two, 9)
    assert not worker.has_room(job, 9), "a pack of one has a process of its own"
    worker.jobs |= {"b": of_four}
    assert worker.has_room(of_four, 9)
    assert not worker.has_room(of_four, 2), "it was found to lack memory for more than two"
    assert not worker.has_room(of_two, 9)
    worker.jobs |= {"c": of_four}
    assert not worker.has_room(of_four, 9)


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
