"""The dispatcher: which worker is given what, after what a worker says, and how many workers share a GPU."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packed_runs import jobs_in
from sweeps import ProgressLog

from lipschitz.sweep.engine.dispatcher import Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.engine.worker_process import WorkerProcess


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
