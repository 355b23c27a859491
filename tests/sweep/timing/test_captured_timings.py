"""Timings of a GPU: captured iterations, runs that share a worker, and what is timed again."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from fake_cuda_graph import FakeCudaGraph
from sweeps import SMALL, ProgressLog
from timed_jobs import InstantEngine, sweep_jobs

from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate, estimate, with_packs
from lipschitz.sweep.timing.one_round import measure_round
from lipschitz.sweep.timing.shared_device import measure_evaluation
from lipschitz.sweep.timing.throughput import measure_packs
from lipschitz.sweep.timing.timing_files import iteration_ms, seconds_of_an_iteration
from lipschitz.sweep.timing.timing_pass import (
    groups_to_time,
    summarise_rounds,
    time_configurations,
    timing_groups,
)

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
