"""Runs that share a worker: each is what it would be alone, whatever becomes of the others."""

import math
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from diary import Diary
from interrupted import Stopped, outcome
from sweeps import write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import _Engine, _Worker, run_jobs
from lipschitz.sweep.engine.packing import Pack, best, packs_of
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.provenance import device_name
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_pass import time_configurations, untimed
from lipschitz.training.iterations import TOGETHER, WARM_UP
from lipschitz.training.loop import SLICE

CPU = torch.device("cpu")
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

def dies():
    os.kill(os.getpid(), signal.SIGKILL)

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
    return [Job(run, folder / "out", None, "cpu", {"device": "cpu"}, "cpu: a", pack=pack) for run in runs]


def outcomes(jobs: Sequence[Job]) -> list[Any]:
    return [outcome(job) for job in jobs]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What comes of each run in a process of its own."""
    jobs = jobs_in(tmp_path_factory.mktemp("alone") / "runs", f"gradient_penalty, {UNLUCKY_ENTRY}")
    run_jobs(jobs, ["cpu", "cpu"], Diary())
    return outcomes(jobs)


@pytest.mark.parametrize("pack", [2, 3])
def test_a_packed_run_equals_the_same_run_alone(tmp_path: Path, alone: list[Any], pack: int) -> None:
    jobs, diary = jobs_in(tmp_path / "runs", pack=pack), Diary()
    run_jobs(jobs, ["cpu"], diary)
    assert outcomes(jobs) == alone[:3]
    at_once, most = 0, 0
    for line in diary.lines:
        at_once += line.startswith("started") - line.startswith("ended")
        most = max(most, at_once)
    assert most == pack
    assert {job.folder.definition()["provenance"][-1]["runs_at_once"] for job in jobs} == {pack}


def test_going_on_in_the_middle_of_a_packed_sweep_equals_an_undisturbed_one(tmp_path: Path, alone: list[Any]) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=2)
    run_jobs(jobs[:2], ["cpu"], Diary(), target=work_to_100)
    assert [job.folder.status() for job in jobs] == ["waiting"] * 3
    assert [{record["step"] for record in job.folder.records()} for job in jobs[:2]] == [{0, 60}, {0}]
    run_jobs(jobs, ["cpu"], Diary())
    assert outcomes(jobs) == alone[:3]


def work_to_100(job: Job, channel: Connection) -> None:
    work(job, Stopped(channel, step=100))  # type: ignore[arg-type]


def unlucky(folder: Path, what: str, often: str) -> tuple[list[Job], Diary]:
    jobs, diary = jobs_in(folder / "runs", UNLUCKY_ENTRY, pack=3), Diary()
    (folder / "runs" / "mark").write_text(f"{what} {often}")
    run_jobs(jobs, ["cpu"], diary)
    return jobs, diary


@pytest.mark.parametrize(
    ("what", "said", "back"),
    [
        ("out_of_memory", "cpu: 1 runs at once from now on: torch.OutOfMemoryError: CUDA out of memory.", 2),
        ("dies", "cpu: a worker of 3 runs died; each goes on in one of its own", 3),
        ("loses_the_device", "cpu: a worker of 3 runs died; each goes on in one of its own", 3),
        ("cannot_be_captured", "not captured, and slower for it: RuntimeError: no", 3),
    ],
)
def test_what_happens_once_costs_no_run_anything(
    tmp_path: Path, alone: list[Any], what: str, said: str, back: int
) -> None:
    jobs, diary = unlucky(tmp_path, what, "once")
    assert outcomes(jobs) == alone[3:]
    warnings = [line for line in diary.lines if line.startswith("warned") and "resuming from step" not in line]
    assert len(warnings) == 1
    assert warnings[0].endswith(said)
    assert sum(line.startswith("returned") for line in diary.lines) == back
    assert sum(line.startswith("ended") for line in diary.lines) == 3
    assert not any(job.folder.error.exists() for job in jobs)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("out_of_memory", "out of memory, alone in its process"),
        ("dies", "the worker died (signal 9) before it could say why"),
        ("loses_the_device", "device-side assert triggered"),
    ],
)
def test_what_happens_again_and_again_costs_one_run(tmp_path: Path, alone: list[Any], what: str, why: str) -> None:
    jobs, _ = unlucky(tmp_path, what, "always")
    assert [job.folder.status() for job in jobs] == ["failed", "finished", "finished"]
    assert why in jobs[0].folder.error.read_text()
    assert outcomes(jobs[1:]) == alone[4:]


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


def engine_with(jobs: Sequence[Job], held: Sequence[Job], exitcode: int | None = None) -> tuple[_Engine, _Worker]:
    """An engine with one worker that holds some jobs, of which it began the first."""
    engine = _Engine(jobs, [], Diary(), work)
    engine._limits["cpu"] = math.inf
    begun = {job.run.id for job in held[:1]}
    worker = _Worker(Process(exitcode), Channel(), "cpu", {job.run.id: job for job in held}, begun)  # type: ignore[arg-type]
    engine._workers.append(worker)
    return engine, worker


def test_what_cannot_be_captured_is_not_tried_again(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=2)
    engine, worker = engine_with([], jobs[:1])
    assert engine._placed(jobs[1], "cpu").captures
    engine._take_note(worker, "leaving")
    engine._take_note(worker, "returned", [jobs[0].run.id], 0, "RuntimeError: no")
    assert not engine._placed(jobs[1], "cpu").captures
    assert list(engine._waiting) == jobs[:1]


def test_a_worker_that_leaves_is_given_nothing_more(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    engine, worker = engine_with(jobs[1:], jobs[:1])
    worker.channel.said = [("leaving",), ("ended", jobs[0].run.id)]  # type: ignore[attr-defined]
    engine._hear(worker)
    engine.hand_out()
    assert worker.channel.given == []  # type: ignore[attr-defined]
    assert list(engine._waiting) == jobs[1:]


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_worker_had_not_begun_when_it_left_waits_again_as_it_was(tmp_path: Path, code: int) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    engine, worker = engine_with([], jobs, code)
    jobs[0].folder.path.mkdir(parents=True)
    engine._workers.remove(worker)
    engine._bury(worker)
    blamed = jobs[:code]
    assert list(engine._waiting) == jobs[code:]
    assert [job.folder.error.exists() for job in jobs] == [job in blamed for job in jobs]


def test_a_lost_device_costs_no_run_that_comes_after(tmp_path: Path, alone: list[Any]) -> None:
    jobs = jobs_in(tmp_path / "runs", UNLUCKY_ENTRY, pack=3)
    (tmp_path / "runs" / "mark").write_text("loses_the_device always")
    engine = _Engine(jobs, ["cpu"], Diary(), work)
    engine._limits["cpu"] = 1
    while engine.goes_on():
        engine.hand_out()
        engine.listen()
    assert [job.folder.status() for job in jobs] == ["failed", "finished", "finished"]
    assert outcomes(jobs[1:]) == alone[4:]


def test_a_limit_never_rises(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "runs", pack=3)
    engine, worker = engine_with([], jobs)
    for index, (runs, limit) in enumerate(((2, 2), (1, 1), (2, 1))):
        engine._take_note(worker, "returned", [jobs[index].run.id], runs, "out of memory")
        assert engine._limits["cpu"] == limit


def test_shares_of_a_worker_add_up_to_one_at_most(tmp_path: Path) -> None:
    job = jobs_in(tmp_path / "runs")[0]
    of_two, of_four = (replace(job, pack=pack) for pack in (2, 4))
    worker = _Worker(None, None, "cpu", {"a": of_two})  # type: ignore[arg-type]
    assert worker.has_room(of_two, 9)
    assert not worker.has_room(job, 9), "a pack of one has a process of its own"
    worker.held |= {"b": of_four}
    assert worker.has_room(of_four, 9)
    assert not worker.has_room(of_four, 2), "it was found to lack memory for more than two"
    assert not worker.has_room(of_two, 9)
    worker.held |= {"c": of_four}
    assert not worker.has_room(of_four, 9)


def test_the_fewest_runs_that_are_nearly_the_fastest_are_chosen() -> None:
    packs = [Pack(1, 100, 0), Pack(2, 190, 0), Pack(4, 290, 0), Pack(8, 300, 0)]
    assert best(packs) == 4
    assert best(packs[:2]) == 2
    assert best([]) == 1


def test_throughput_is_tried_until_more_runs_gain_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, built = jobs_in(tmp_path / "runs")[0], []

    def build() -> Any:
        built.append(job.build())
        return built[-1]

    speeds = iter([100.0, 150.0, 151.0])
    monkeypatch.setattr("lipschitz.sweep.engine.packing._throughput", lambda *_: next(speeds))
    packs = list(packs_of(build, CPU))
    assert [(pack.runs, pack.iterations_per_second) for pack in packs] == [(1, 100), (2, 150), (4, 151)]
    assert len(built) == 4


def test_runs_that_share_a_device_are_counted_together(tmp_path: Path) -> None:
    job, tasks = jobs_in(tmp_path / "runs")[0], []

    def build() -> Any:
        tasks.append(job.build())
        return tasks[-1]

    (one, two) = packs_of(build, CPU, sizes=(1, 2), seconds=0.01)
    assert (one.runs, two.runs) == (1, 2)
    assert min(one.iterations_per_second, two.iterations_per_second) > 0
    # Each was warmed up and made a slice at least; the mean over its last updates is of as many.
    written = [int(task.state_dict()["players"]["generator"]["losses"]["written"]) for task in tasks]
    assert written[0] > written[1] >= WARM_UP + TOGETHER + SLICE


def test_a_pack_lacks_memory_and_fewer_are_taken(tmp_path: Path) -> None:
    job, left = jobs_in(tmp_path / "runs")[0], [3]

    def build() -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return job.build()

    assert [pack.runs for pack in packs_of(build, CPU, sizes=(1, 2, 4), seconds=0.01)] == [1, 2]


@pytest.mark.gpu
def test_on_a_gpu_a_sweep_is_captured_packed_and_equals_its_runs_alone(tmp_path: Path) -> None:
    device = device_name("cuda:0")
    captured, launched = (
        [
            replace(job, timed_on=device, pack=pack, captures=pack > 1)
            for job in jobs_in(tmp_path / str(pack), pack=pack)
        ]
        for pack in (3, 1)
    )
    run_jobs(captured, ["cuda:0"], Diary())
    run_jobs(launched, ["cuda:0"], Diary())
    for ours, theirs in zip(captured, launched, strict=True):
        assert ours.folder.definition()["provenance"][-1]["captured"] is True
        assert theirs.folder.definition()["provenance"][-1]["captured"] is False
        for one, other in zip(outcome(ours)[1], outcome(theirs)[1], strict=True):
            assert one[:2] == other[:2]
            assert one[2] == pytest.approx(other[2], rel=1e-3, nan_ok=True)


@pytest.mark.gpu
def test_on_a_gpu_a_configuration_is_timed_captured_and_packed(tmp_path: Path) -> None:
    jobs = [replace(job, device="cuda:0", timed_on=device_name("cuda:0")) for job in jobs_in(tmp_path / "runs")]
    folder = SweepFolder(tmp_path / "runs" / "out")
    time_configurations(untimed(jobs, folder), Diary())
    timing = jobs[0].timing
    assert timing is not None
    assert 0 < timing["ms_discriminator_step"]["median"] < timing["launched"]["ms_discriminator_step"]["median"]
    assert timing["ms_iteration"]["median"] > 0
    assert timing["pack"] in {pack["runs"] for pack in timing["packs"]}
    assert timing["packs"][0]["memory"] > 0
