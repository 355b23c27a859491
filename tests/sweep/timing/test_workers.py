"""How many workers share a GPU: what is measured of several, which number is chosen, and what the estimate says."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process_engine import InProcess
from pydantic import PrivateAttr
from rich.console import Console
from sweeps import write

from lipschitz.commands import sweep as command
from lipschitz.commands.sweep_plan import print_estimate
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing import shared_device
from lipschitz.sweep.timing import workers as choice
from lipschitz.sweep.timing.estimate import Estimate, estimate, with_packs
from lipschitz.sweep.timing.one_round import LACKED_MEMORY
from lipschitz.sweep.timing.shared_device import measure_evaluation, measure_worker
from lipschitz.sweep.timing.throughput import iterations_per_second
from lipschitz.sweep.timing.workers import choose_workers, measure_workers

ONE_GPU = Site(("cuda:0",), chooses_workers=True)
PART = {"median": 1.0, "low": 1.0, "high": 1.0, "n": 45}
TIMING: dict[str, Any] = {
    "ms_discriminator_step": PART,
    "ms_generator_step": PART,
    "ms_iteration": PART,
    "launched": {"ms_discriminator_step": PART, "ms_generator_step": PART},
    "n_dis": 1,
    "device": "cuda: a",
    "packs": [
        {"runs": 1, "iterations_per_second": 1000.0, "memory": 1.0},
        {"runs": 4, "iterations_per_second": 2000.0, "memory": 4.0},
    ],
    "pack": 4,
    "evaluation_seconds": 0.03,
}
"""Four runs of 120 steps train 0.06 s each at 2,000 iterations a second, and evaluate five times 0.03 s."""


def jobs_in(folder: Path, site: Site = ONE_GPU, timing: dict[str, Any] = TIMING) -> list[Job]:
    (folder / "out").mkdir()
    runs = load_sweep(write(folder)).runs
    jobs = [Job(run, folder / "out", site, site.devices[0], {"device": "cuda: a"}, "cuda: a") for run in runs]
    for job in jobs:
        SweepFolder(job.sweep).write_timing(job.run.configuration, {**timing, "labels": job.run.labels()})
    return with_packs(jobs)


class Answering(InProcess):
    """An engine whose workers reach, by their number, what is given: iterations a second of all, and evaluations."""

    _reached: dict[int, tuple[float, float]] = PrivateAttr()
    _memory: float = PrivateAttr()
    _calls: list[tuple[int, int]] = PrivateAttr()

    @classmethod
    def of(cls, reached: dict[int, tuple[float, float]], memory: float = 99.0) -> "Answering":
        engine = cls()
        engine._reached, engine._memory, engine._calls = reached, memory, []
        return engine

    def call_together(self, measurement: Any, job: Job, processes: int) -> list[dict[str, Any]]:
        (runs,) = measurement.args
        self._calls.append((processes, runs))
        if runs * processes > self._memory:
            return [{LACKED_MEMORY: True}] + [{}] * (processes - 1)
        rate, seconds = self._reached[processes]
        each = {"iterations_per_second": rate / processes, "evaluation_seconds": seconds}
        return [each] * processes


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def set_cores(number: int) -> None:
        monkeypatch.setattr(choice, "cpu_cores", lambda: number)

    set_cores(16)
    monkeypatch.setattr(choice, "devices_and_workers", lambda devices, workers: f"cuda: a; {workers} workers")
    return set_cores


HOST_BOUND = {1: (2000.0, 0.03), 2: (2000.0, 0.03), 4: (1900.0, 0.03)}
"""Evaluations that do not slow each other down."""
DEVICE_BOUND = {1: (2000.0, 0.03), 2: (2000.0, 0.06)}
"""Evaluations that take turns."""


def test_evaluations_that_leave_the_gpu_idle_are_shared_out_among_workers(tmp_path: Path) -> None:
    jobs, engine = jobs_in(tmp_path), Answering.of(HOST_BOUND)
    shared = measure_workers(jobs, engine)
    # Never more workers than runs, nor more runs in each than there are.
    assert engine._calls == [(1, 4), (2, 2), (4, 1)]
    chosen = choose_workers(jobs, {}, shared)
    assert chosen is not None
    assert {job.site.devices for job in chosen.jobs} == {("cuda:0",) * 4}
    # 4 x 120 iterations at 2,000 a second, slower by 1900 / 2000; 4 x 5 evaluations among four.
    assert chosen.estimate == Estimate(pytest.approx(0.24 / 0.95), pytest.approx(20 * 0.03 / 4))
    assert chosen.why == (
        "4 workers on each GPU, up to 4 runs in each, by measurement: predicted 0.0 min with 1, 0.0 min with 2, 0.0 min with 4; "
        "evaluations take 71% of the time of one; 8 were not tried: 4 runs"
    )
    assert {job.provenance["workers"] for job in chosen.jobs} == {chosen.why}
    assert {job.provenance["device"] for job in chosen.jobs} == {"cuda: a; 4 workers"}


def test_evaluations_that_take_turns_on_the_gpu_gain_nothing_by_workers(tmp_path: Path) -> None:
    jobs, engine = jobs_in(tmp_path), Answering.of(DEVICE_BOUND)
    chosen = choose_workers(jobs, {}, measure_workers(jobs, engine))
    assert chosen is not None
    assert engine._calls == [(1, 4), (2, 2)], "four are not tried where two gain little"
    assert {job.site.workers for job in chosen.jobs} == {1}
    assert chosen.why.endswith("with 2; evaluations take 71% of the time of one")


def test_slower_training_outweighs_what_evaluations_gain(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    chosen = choose_workers(jobs, {}, measure_workers(jobs, Answering.of({1: (2000.0, 0.03), 2: (600.0, 0.03)})))
    assert chosen is not None
    assert {job.site.workers for job in chosen.jobs} == {1}


def test_cores_limit_the_number_of_workers(tmp_path: Path, cores: Callable[[int], None]) -> None:
    cores(2)
    jobs, engine = jobs_in(tmp_path), Answering.of(HOST_BOUND)
    chosen = choose_workers(jobs, {}, measure_workers(jobs, engine))
    assert chosen is not None
    assert engine._calls == [(1, 4), (2, 2)]
    assert {job.site.workers for job in chosen.jobs} == {2}
    assert chosen.why.endswith("; 4 were not tried: 2 CPU cores")
    cores(1)
    assert measure_workers(jobs, engine) == {}
    assert choose_workers(jobs, {}, {}) is None


def test_where_memory_is_lacking_fewer_runs_share_each_worker(tmp_path: Path) -> None:
    jobs, engine = jobs_in(tmp_path), Answering.of(HOST_BOUND, memory=2)
    chosen = choose_workers(jobs, {}, measure_workers(jobs, engine))
    assert chosen is not None
    assert engine._calls == [(1, 4), (1, 2), (2, 2), (2, 1), (4, 1)]
    assert {(job.site.workers, job.pack) for job in chosen.jobs} == {(2, 2)}
    assert chosen.why.endswith("; 4 lacked memory, or failed")


def test_a_given_number_of_runs_is_not_changed_and_a_given_number_of_workers_not_measured(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, replace(ONE_GPU, pack=3))
    engine = Answering.of(HOST_BOUND, memory=2)
    assert measure_workers(jobs, engine) == {}
    assert engine._calls == [(1, 3)]
    given = [replace(job, site=Site(("cuda:0", "cuda:0"))) for job in jobs]
    console = Console(file=StringIO(), width=200)
    assert command._with_workers(given, SweepFolder(tmp_path / "out"), engine, console)[0] == given
    assert engine._calls == [(1, 3)]


def test_what_was_measured_before_is_not_measured_again(tmp_path: Path) -> None:
    jobs, engine = jobs_in(tmp_path), Answering.of(HOST_BOUND)
    shared = measure_workers(jobs, engine)
    again = Answering.of({})
    assert measure_workers(jobs[1:], again) == {
        kind: {w: found[w] for w in (1, 2, 4)} for kind, found in shared.items()
    }
    assert again._calls == []


def test_an_engine_that_cannot_measure_workers_has_one_a_gpu(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    console = Console(file=StringIO(), width=200)
    placed, found = command._with_workers(jobs, SweepFolder(tmp_path / "out"), InProcess(), console)
    assert placed == jobs
    assert found == Estimate(pytest.approx(0.24), pytest.approx(0.6))


def test_the_choice_is_printed_and_in_the_provenance_of_the_sweep(tmp_path: Path) -> None:
    jobs, folder = jobs_in(tmp_path), SweepFolder(tmp_path / "out")
    console = Console(file=StringIO(), width=200)
    placed, found = command._with_workers(jobs, folder, Answering.of(HOST_BOUND), console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.startswith("4 workers on each GPU, up to 4 runs in each, by measurement: ")
    assert folder.provenance()["workers"] == said.strip()
    print_estimate(found, 4, placed[0].site, console)
    last = console.file.getvalue().splitlines()[-1]  # type: ignore[attr-defined]
    assert last == "4 unfinished runs on 4 workers: about 0.0 min of training and 0.0 min of evaluation, 0.0 GPU hours"


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(("cuda:0",), (0.24, 0.6)), (("cuda:0",) * 2, (0.24, 0.3)), (("cuda:0", "cuda:1"), (0.12, 0.3))],
)
def test_workers_that_share_a_gpu_are_not_taken_to_train_faster_unless_measured(
    tmp_path: Path, devices: tuple[str, ...], expected: tuple[float, float]
) -> None:
    jobs = jobs_in(tmp_path, Site(devices))
    assert estimate(jobs, {}) == Estimate(*map(pytest.approx, expected))


def test_without_the_time_of_an_evaluation_the_estimate_says_so(tmp_path: Path) -> None:
    timing = {key: value for key, value in TIMING.items() if key != "evaluation_seconds"}
    jobs, console = jobs_in(tmp_path, timing=timing), Console(file=StringIO(), width=200)
    print_estimate(estimate(jobs, {}), 4, ONE_GPU, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said == "4 unfinished runs on 1 worker: about 0.0 min of training, 0.0 GPU hours, without evaluations\n"


def test_an_evaluation_is_timed_without_training(tmp_path: Path) -> None:
    (job, *_) = jobs_in(tmp_path, Site(("cpu",)))
    answers: list[dict[str, Any]] = []
    measure_evaluation(job, answers.append)
    assert [*answers[0]] == ["evaluation_seconds"]
    assert answers[0]["evaluation_seconds"] > 0


def test_a_worker_trains_and_evaluates_when_the_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.sweep.timing.shared_device.iterations_per_second", lambda runs, _: 10.0 * len(runs))
    (job, *_) = jobs_in(tmp_path, Site(("cpu",)))
    said: list[Any] = []
    measure_worker(2, job, said.append, lambda: said.append("meet"))
    assert said[:2] == ["meet", "meet"]
    assert said[2]["iterations_per_second"] == 20.0
    assert said[2]["evaluation_seconds"] > 0


@pytest.mark.parametrize(("error", "lacks"), [(RuntimeError("CUDA error: out of memory"), True), (ValueError(), False)])
def test_a_worker_that_fails_says_whether_it_lacked_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, lacks: bool
) -> None:
    def build(job: Job, data: Any) -> Any:
        raise error

    monkeypatch.setattr(Job, "build", build)
    (job, *_) = jobs_in(tmp_path, Site(("cpu",)))
    answers: list[dict[str, Any]] = []
    measure_worker(1, job, answers.append, lambda: None)
    assert answers == [{LACKED_MEMORY: lacks}]
    measure_evaluation(job, answers.append)
    assert len(answers) == 1, "its runs report it"


def trains(job: Job, answer: Callable[[dict[str, Any]], None], meet: Callable[[], None]) -> None:
    runs = shared_device._runs(2, job, captures=True)
    meet()
    answer({"rate": iterations_per_second(runs, torch.device(job.device), 0.1)})


@pytest.mark.gpu
def test_on_a_gpu_workers_are_measured_and_processes_train_captured_runs_at_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run = load_sweep(write(tmp_path)).runs[0]
    job = Job(run, tmp_path / "out", ONE_GPU, "cuda:0", {}, device_kind("cuda:0"))
    answers: list[dict[str, Any]] = []
    measure_evaluation(job, answers.append)
    measure_worker(2, job, answers.append, lambda: None)
    assert [answer["evaluation_seconds"] > 0 for answer in answers] == [True, True]
    assert answers[1]["iterations_per_second"] > 0
    assert [each["rate"] > 0 for each in Local().call_together(trains, job, 2)] == [True, True]
