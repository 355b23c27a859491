"""The timing pass: what takes turns, what rounds make of a time, and for which device it counts."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from fake_cuda_graph import FakeCudaGraph
from sweeps import ONE_CPU, SMALL, TWO_CPUS, ProgressLog, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.base import TIMED_OUT, Measurement
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate, estimate, with_packs
from lipschitz.sweep.timing.one_round import LACKED_MEMORY, Round, measure_round, time_round
from lipschitz.sweep.timing.shared_device import measure_evaluation
from lipschitz.sweep.timing.throughput import measure_packs
from lipschitz.sweep.timing.timing_files import drift_warning, iteration_ms, seconds_of_an_iteration
from lipschitz.sweep.timing.timing_pass import (
    Batch,
    batches,
    groups_to_time,
    summarise_rounds,
    time_configurations,
    timing_groups,
)

BROKEN = '''
from lipschitz.constraints.base import Constraint

class Broken(Constraint):
    """Raises, though not in the plan's check of shapes."""
    source, promise = "this test", "none"
    def penalty(self, net, batch, rng):
        if not batch.real.is_meta:
            raise RuntimeError("no")
        return batch.real.new_zeros(())
'''
CROSSED = """\
    name: crossed
    task: transport
    seeds: [0, 1]
    evaluation: {every: 40, samples: 32, gradient_samples: 8}
    parts:
      - datasets: [funnels]
        models: [{critic: {width: 8}}]
        constraints: [none, spectral_normalization]
        training: {steps: 10, batch_size: 8}
      - datasets: [funnels]
        models: [{critic: {width: 8, activation: full_sort}}]
        constraints: [orthogonal]
        training: {seconds: 2, batch_size: 8}
      - datasets: [funnels, {funnels: {dim: 3}}]
        models: [{critic: {width: 8}}]
        constraints: [none]
        training: {steps: 10, batch_size: 16}
"""


def sweep_jobs(folder: Path, text: str = SMALL, device: str = "cpu: a") -> list[Job]:
    (folder / "out").mkdir(exist_ok=True)
    return [Job(run, folder / "out", ONE_CPU, "cpu", {}, device) for run in load_sweep(write(folder, text)).runs]


def one_round(*calls: float, memory: float = 1.0) -> Round:
    return {"calls": {"ms_discriminator_step": list(calls)}, "peak_memory": memory}


@pytest.mark.parametrize("constraints", ["[none, broken.py:Broken]", "[broken.py:Broken, none]"])
def test_a_method_that_raises_costs_no_other_its_timing(tmp_path: Path, constraints: str) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    jobs = sweep_jobs(tmp_path, SMALL.replace("[none, spectral_normalization]", constraints))
    (group,) = timing_groups(jobs)
    rounds = measure_round(group, warm_up=1, repeats=3)
    (sound,) = (job for job in group if job.run.labels()["constraint"] == "none")
    assert list(rounds) == [sound.run.configuration]
    assert {name: len(calls) for name, calls in rounds[sound.run.configuration]["calls"].items()} == {
        "ms_discriminator_step": 3,
        "ms_generator_step": 3,
    }


@pytest.mark.parametrize("what", ["raise SystemExit(0)", "torch.set_default_dtype(torch.float64)"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_method_that_would_exit_or_changes_what_is_shared_costs_no_other_its_timing(
    tmp_path: Path, what: str, at: int
) -> None:
    """At its first call, or once it is timed."""
    count = "self.__dict__['calls'] = self.__dict__.get('calls', 0) + 1"
    penalty = f"{count}\n            if self.__dict__['calls'] >= {at}:\n                {what}"
    (tmp_path / "broken.py").write_text("import torch\n" + BROKEN.replace('raise RuntimeError("no")', penalty))
    (group,) = timing_groups(sweep_jobs(tmp_path, SMALL.replace("spectral_normalization", "broken.py:Broken")))
    rounds = measure_round(group, warm_up=1, repeats=3)
    assert [name.split("-")[2] for name in rounds] == ["none"]
    assert torch.get_default_dtype() == torch.float32
    assert all(len(calls) == 3 for calls in rounds[group[0].run.configuration]["calls"].values())


class Processes:
    """Calls of measurements, of which those with some configurations find only what is given."""

    def __init__(self, found: dict[str, dict[str, Any]]) -> None:
        self._found = found
        self.called: list[list[str]] = []

    def __call__(self, job: Job, measurement: Any) -> dict[str, Any]:
        names = [each.run.configuration for each in measurement.args[1]]
        assert job.run.configuration == names[0]
        self.called.append(names)
        bad = [name for name in names if name in self._found]
        return self._found[bad[0]] if bad else {"rounds": {name: one_round(1.0) for name in names}}


@pytest.mark.parametrize("when", ["its first calls", "later"])
@pytest.mark.parametrize("hangs", [True, False])
def test_one_that_ends_or_hangs_the_timing_process_loses_its_own_timing(tmp_path: Path, when: str, hangs: bool) -> None:
    group = timing_groups(sweep_jobs(tmp_path, CROSSED))[0]
    (a, b, c) = (job.run.configuration for job in group)
    processes = Processes({b: {"at": b if when == "its first calls" else None} | ({TIMED_OUT: True} if hangs else {})})
    batch = Batch([], processes)
    assert set(batch.time(group)) == set(batch.time(group)) == {a, c}
    assert batch.lost == {b: ": it hung for 3600 s" if hangs else ": it ended its process"}
    alone = [[a, c]] if hangs and when == "its first calls" else [[a], [b], [c]]
    assert processes.called == [[a, b, c], *alone, [a, c]]


def test_where_memory_is_lacking_fewer_are_timed_at_once_and_one_that_lacks_it_alone_is_named(tmp_path: Path) -> None:
    group = timing_groups(sweep_jobs(tmp_path, CROSSED))[0]
    (a, b, c) = (job.run.configuration for job in group)
    processes = Processes({c: {LACKED_MEMORY: True}})
    batch = Batch([], processes)
    assert set(batch.time(group)) == set(batch.time(group)) == {a, b}
    assert processes.called == [[a, b, c], [a], [b], [c], [a], [b]]
    assert batch.lost == {c: ": it needs more memory than there is"}


def test_a_round_that_lacks_memory_says_so_whatever_the_error_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(job: Job, data: Any) -> Any:
        raise RuntimeError("GET was unable to find an engine to execute this computation")

    monkeypatch.setattr(Job, "build", build)
    (job, *_) = sweep_jobs(tmp_path)
    answers: list[dict[str, Any]] = []
    time_round([], [job], job, answers.append)
    assert answers[-1] == {LACKED_MEMORY: True}


def test_a_large_group_is_timed_a_few_at_a_time(tmp_path: Path) -> None:
    (job, *_) = sweep_jobs(tmp_path)
    assert [len(batch) for batch in batches([job] * 40)] == [16, 16, 8]
    assert [len(batch) for batch in batches([replace(job, device="cuda:0")] * 20)] == [8, 8, 4]


@pytest.mark.parametrize(("says", "pack"), [("", 1), ("shares_process = True", 3)])
def test_code_from_outside_has_a_process_of_its_own_unless_it_says_that_it_may_share_one(
    tmp_path: Path, says: str, pack: int
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN.replace("    def", f"    {says}\n    def"))
    jobs = sweep_jobs(tmp_path, SMALL.replace("spectral_normalization", "broken.py:Broken"))
    jobs = [replace(job, site=Site(("cpu",), pack=3)) for job in jobs]
    assert [job.pack for job in with_packs(jobs)] == [3, 3, pack, pack]


def test_peak_memory_is_above_what_was_held_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = timing_groups(sweep_jobs(tmp_path))
    assert all("peak_memory" not in each for each in measure_round(group, warm_up=1, repeats=1).values())
    held = iter([100.0, 130.0, 130.0, 137.5])
    for name in ("_memory_before", "_peak_memory"):
        monkeypatch.setattr(f"lipschitz.sweep.timing.one_round.{name}", lambda device: next(held))
    rounds = measure_round(group, warm_up=1, repeats=1)
    assert [each["peak_memory"] for each in rounds.values()] == [30.0, 7.5]


def test_what_a_pair_and_a_batch_size_share_takes_turns_whatever_the_model_and_the_budget(tmp_path: Path) -> None:
    groups = timing_groups(sweep_jobs(tmp_path, CROSSED))
    said = [
        [(job.run.dataset.label(), job.run.training.batch_size, job.run.labels()["constraint"]) for job in group]
        for group in groups
    ]
    assert said == [
        [("funnels", 8, "none"), ("funnels", 8, "spectral_normalization"), ("funnels", 8, "orthogonal")],
        [("funnels", 16, "none")],
        [("funnels(dim=3)", 16, "none")],
    ]
    assert {job.run.seed for group in groups for job in group} == {0}


def test_the_fastest_quarter_of_each_round_counts(tmp_path: Path) -> None:
    slow = [100.0] * 11
    rounds = [one_round(*slow, 1.0, 2.0, 3.0, 4.0), one_round(2.0, *slow, 1.0, 3.0, 4.0), one_round(*slow, *[2.0] * 4)]
    timing = summarise_rounds(sweep_jobs(tmp_path)[0], rounds)
    assert timing["rounds"] == {"ms_discriminator_step": [2.5, 2.5, 2.0]}
    assert (timing["ms_discriminator_step"]["median"], timing["ms_discriminator_step"]["n"]) == (2.0, 12)
    assert timing["counted"] == "the fastest quarter of the calls of each round"


def test_the_median_is_over_all_rounds_and_the_interval_spans_the_rounds(tmp_path: Path) -> None:
    job = sweep_jobs(tmp_path)[0]
    rounds = [one_round(*[1.0] * 15, memory=2.0), one_round(*[2.0] * 15, memory=3.0), one_round(*[4.0] * 15)]
    timing = summarise_rounds(job, rounds)
    # The binomial interval of 12 calls would begin and end at the third from the ends, as here.
    assert timing["ms_discriminator_step"] == {"median": 2.0, "low": 1.0, "high": 4.0, "n": 12}
    assert timing["rounds"] == {"ms_discriminator_step": [1.0, 2.0, 4.0]}
    assert (timing["peak_memory"], timing["n_dis"]) == (3.0, 1)
    assert (timing["device"], timing["labels"]) == ("cpu: a", job.run.labels())
    on_cpu = [{name: value for name, value in each.items() if name != "peak_memory"} for each in rounds]
    assert "peak_memory" not in summarise_rounds(job, on_cpu)


def test_calls_that_scatter_more_than_rounds_keep_their_interval(tmp_path: Path) -> None:
    calls = [float(call) for call in range(1, 16)]
    timing = summarise_rounds(sweep_jobs(tmp_path)[0], [one_round(*calls)] * 3)
    assert timing["ms_discriminator_step"] == {"median": 2.5, "low": 1.0, "high": 4.0, "n": 12}


def test_rounds_that_differ_are_said_in_one_line() -> None:
    timings: dict[str, dict[str, Any]] = {
        "steady": {"rounds": {"ms_discriminator_step": [10.0, 10.9, 10.5]}},
        "some": {"rounds": {"ms_discriminator_step": [10.0, 11.5, 10.5], "ms_generator_step": [1.0, 1.0, 1.0]}},
        "most": {"rounds": {"ms_discriminator_step": [15.0, 10.0, 10.5]}},
    }
    line = drift_warning(timings)
    assert line == (
        "2 of 4 timings differ by over 10% between rounds, as on a device in use; "
        "most, by 50%, ms_discriminator_step of most (10 to 15 ms)"
    )
    assert drift_warning({"steady": timings["steady"]}) is None
    assert drift_warning({}) is None


class InstantEngine:
    """An engine without processes: it keeps the order of what is timed, and says how long that took in each round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> None:
        self.order: list[list[str]] = []
        self._milliseconds = milliseconds
        self._count: dict[str, int] = {}
        monkeypatch.setattr("lipschitz.sweep.timing.one_round.measure_round", self._rounds)

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = {}
        measurement(job, found.update)
        return found

    def _rounds(self, jobs: list[Job], *, repeats: int, **_: Any) -> dict[str, Round]:
        names = [job.run.configuration for job in jobs]
        self.order.append(names)
        seen = {}
        for name in names:
            index = self._count[name] = self._count.get(name, -1) + 1
            if index < len(self._milliseconds):
                seen[name] = one_round(*[self._milliseconds[index]] * repeats)
        return seen


def test_every_group_is_timed_before_one_is_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, log = InstantEngine(monkeypatch, 10.0, 10.0, 12.0), ProgressLog()
    groups = timing_groups(sweep_jobs(tmp_path, CROSSED))
    time_configurations(groups, engine, log)
    a, b, c = (job.run.configuration for job in groups[0])
    ((d,), (e,)) = ([job.run.configuration for job in group] for group in groups[1:])
    assert engine.order == [[a, b, c], [d], [e], [b, c, a], [d], [e], [c, a, b], [d], [e]]
    timings = SweepFolder(tmp_path / "out").timings()
    assert set(timings) == {a, b, c, d, e}
    assert timings[a]["ms_discriminator_step"] == {"median": 10.0, "low": 10.0, "high": 12.0, "n": 12}
    assert len(log.warnings) == 1
    assert log.warnings[0].startswith("5 of 5 timings differ by over 10% between rounds")


def test_what_lacks_a_round_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = InstantEngine(monkeypatch, 10.0, 10.0)
    log, jobs = ProgressLog(), sweep_jobs(tmp_path)
    groups = groups_to_time(jobs, SweepFolder(tmp_path / "out"))
    time_configurations(groups, engine, log)
    assert log.warnings == [f"not timed: {job.run.configuration}" for job in groups[0]]
    assert SweepFolder(tmp_path / "out").timings() == {}
    assert groups_to_time(jobs, SweepFolder(tmp_path / "out")) == groups


def test_a_timing_counts_on_its_kind_of_device_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SweepFolder(tmp_path / "out")
    here, there = (sweep_jobs(tmp_path, device=device) for device in ("cpu: a", "cpu: b"))
    engine = InstantEngine(monkeypatch, 10.0, 10.0, 10.0)
    time_configurations(groups_to_time(here, folder), engine, ProgressLog())
    assert groups_to_time(here, folder) == []
    assert groups_to_time(there, folder) == timing_groups(there)
    engine = InstantEngine(monkeypatch, 5.0, 5.0, 5.0)
    time_configurations(groups_to_time(there, folder), engine, ProgressLog())
    assert groups_to_time(there, folder) == groups_to_time(here, folder) == []
    # Two configurations of two seeds with 120 steps, each an update of the discriminator.
    assert estimate(here, folder.timings()) == Estimate(pytest.approx(4 * 120 * 0.010), None)
    assert estimate(there, folder.timings()) == Estimate(pytest.approx(4 * 120 * 0.005), None)


def test_a_sweep_s_timings_count_on_the_first_device_of_the_site(tmp_path: Path) -> None:
    sweep, folder = load_sweep(write(tmp_path)), SweepFolder(tmp_path / "out")
    folder.path.mkdir()
    jobs = unfinished_jobs(sweep, folder, TWO_CPUS, {})
    assert {job.timed_on for job in jobs} == {device_kind("cpu")}
    for job in jobs[::2]:
        # As folders of before rounds have it.
        old = {"median": 1.0, "low": 1.0, "high": 1.0, "n": 40}
        device = f"{device_kind('cpu')}; 2 workers of one thread"
        folder.write_timing(job.run.configuration, {"ms_discriminator_step": old, "n_dis": 1, "device": device})
    assert groups_to_time(jobs, folder) == []


PART = {"median": 4.0, "low": 4.0, "high": 4.0, "n": 45}
LAUNCHED = {
    "ms_discriminator_step": PART,
    "ms_generator_step": {**PART, "median": 3.0},
    "n_dis": 2,
    "device": "cuda: a",
}
CAPTURED = {
    **LAUNCHED,
    "ms_discriminator_step": {**PART, "median": 1.0},
    "ms_generator_step": {**PART, "median": 0.8},
    "ms_iteration": {**PART, "median": 2.5},
    "launched": {name: LAUNCHED[name] for name in ("ms_discriminator_step", "ms_generator_step")},
}
PACKED = {
    **CAPTURED,
    "packs": [
        {"runs": 1, "iterations_per_second": 400.0, "memory": 90.0},
        {"runs": 4, "iterations_per_second": 1000.0, "memory": 300.0},
    ],
    "pack": 4,
}


def test_a_time_is_that_of_the_iterations_that_train(tmp_path: Path) -> None:
    rounds = [
        {
            "calls": {"ms_discriminator_step": [4.0 + index] * 15},
            "captured": {"ms_discriminator_step": [1.0] * 15, "ms_iteration": [2.0 + index] * 15},
            "peak_memory": 1.0,
        }
        for index in range(3)
    ]
    timing = summarise_rounds(sweep_jobs(tmp_path)[0], rounds)
    assert timing["ms_discriminator_step"] == {"median": 1.0, "low": 1.0, "high": 1.0, "n": 12}
    assert timing["ms_iteration"] == {"median": 3.0, "low": 2.0, "high": 4.0, "n": 12}
    assert timing["launched"] == {"ms_discriminator_step": {"median": 5.0, "low": 4.0, "high": 6.0, "n": 12}}
    assert timing["rounds"] == {"ms_discriminator_step": [1.0] * 3, "ms_iteration": [2.0, 3.0, 4.0]}
    del rounds[1]["captured"]
    launched = summarise_rounds(sweep_jobs(tmp_path)[0], rounds)
    assert launched["ms_discriminator_step"]["median"] == 5.0
    assert "launched" not in launched, "what was not captured in every round counts as launched"


def test_an_iteration_is_as_measured_in_one_piece_or_the_sum_of_its_parts() -> None:
    assert iteration_ms(CAPTURED) == 2.5
    assert iteration_ms(LAUNCHED) == 11.0


def test_runs_that_share_a_worker_count_as_their_share() -> None:
    assert seconds_of_an_iteration(PACKED, 4) == pytest.approx(1e-3)
    assert seconds_of_an_iteration(PACKED, 3) == pytest.approx(2.5e-3), "not measured: alone"
    assert seconds_of_an_iteration(LAUNCHED, 1) == pytest.approx(11e-3)


@pytest.mark.parametrize(
    ("timing", "asked", "pack", "captures", "ms"),
    [
        (PACKED, None, 4, True, 1.0),
        (PACKED, 8, 8, True, 2.5),
        (CAPTURED, 8, 8, True, 2.5),
        ({**LAUNCHED, "uncaptured": "no"}, None, 1, False, 11.0),
        ({**LAUNCHED, "uncaptured": "no"}, 8, 1, False, 11.0),
    ],
)
def test_how_many_share_a_worker_and_how_long_they_train(
    tmp_path: Path, timing: dict[str, Any], asked: int | None, pack: int, captures: bool, ms: float
) -> None:
    jobs, folder = sweep_jobs(tmp_path, device="cuda: a"), SweepFolder(tmp_path / "out")
    jobs = [replace(job, site=Site(("cuda:0",), pack=asked)) for job in jobs]
    for job in jobs:
        folder.write_timing(job.run.configuration, dict(timing))
    assert groups_to_time(jobs, folder) == []
    assert {(job.pack, job.captures) for job in with_packs(jobs)} == {(pack, captures)}
    # Four runs of 120 steps.
    assert estimate(with_packs(jobs), {}) == Estimate(pytest.approx(4 * 120 * ms / 1000), None)


@pytest.mark.parametrize("timing", [LAUNCHED, CAPTURED], ids=["of before graphs", "not tried with others"])
def test_what_a_gpu_was_not_seen_to_capture_and_pack_is_timed_again(tmp_path: Path, timing: dict[str, Any]) -> None:
    jobs, folder = sweep_jobs(tmp_path, device="cuda: a"), SweepFolder(tmp_path / "out")
    for job in jobs:
        folder.write_timing(job.run.configuration, dict(timing))
    assert groups_to_time(jobs, folder) == timing_groups(jobs)


@pytest.mark.parametrize("setting", ["C", "{lr: 1e-3, decay: linear}"])
def test_what_is_captured_takes_turns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(
        "lipschitz.sweep.timing.one_round.CudaGraph", lambda _, generators, like: FakeCudaGraph(generators)
    )
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    jobs = sweep_jobs(tmp_path, f"{dedent(SMALL)}settings: [{setting}]\n")
    (first, second) = (job.run.configuration for job in timing_groups(jobs)[0])
    rounds = measure_round(timing_groups(jobs)[0], warm_up=1, repeats=2, captured=[second])
    assert "captured" not in rounds[first]
    assert {name: len(calls) for name, calls in rounds[second]["captured"].items()} == {
        "ms_discriminator_step": 2,
        "ms_generator_step": 2,
        "ms_iteration": 2,
    }


def test_a_process_that_dies_while_it_captures_is_said_and_costs_no_timing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packing = []

    class DyingEngine(InstantEngine):
        def call(self, measurement: Any, job: Job) -> dict[str, Any]:
            if measurement is measure_evaluation:
                return {}
            if measurement.func is measure_packs:
                packing.append(job.run.configuration)
                return {}
            return super().call(measurement, job)

    jobs = [replace(job, device="cuda:0") for job in sweep_jobs(tmp_path, device="cuda: a")]
    log = ProgressLog()
    time_configurations(timing_groups(jobs), DyingEngine(monkeypatch, 10.0, 10.0, 10.0), log)
    assert packing == [job.run.configuration for job in timing_groups(jobs)[0]]
    reason = "there was no memory for one run, or the process that was to capture it died"
    assert log.warnings == [f"{name}: not captured as a CUDA graph (slower): {reason}" for name in packing]
    assert {job.timing["uncaptured"] for job in jobs if job.timing} == {reason}
    assert groups_to_time(jobs, SweepFolder(tmp_path / "out")) == []


def test_a_worker_that_dies_leaves_its_group_untimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = InstantEngine(monkeypatch)
    monkeypatch.setattr(engine, "call", lambda measurement, job: {})
    log, (group,) = ProgressLog(), timing_groups(sweep_jobs(tmp_path))
    time_configurations([group], engine, log)
    assert log.warnings == [f"not timed: {job.run.configuration}: it ended its process" for job in group]
