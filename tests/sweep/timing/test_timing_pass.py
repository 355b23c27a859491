"""The timing pass: what takes turns, what rounds make of a time, and for which device it counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sweeps import SMALL, TWO_CPUS, ProgressLog, write
from timed_jobs import CROSSED, InstantEngine, one_round, sweep_jobs

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.base import TIMED_OUT
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate, estimate, with_packs
from lipschitz.sweep.timing.one_round import LACKED_MEMORY, measure_round, time_round
from lipschitz.sweep.timing.timing_files import drift_warning
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
