"""The loop, driven by a task small enough to follow by hand."""

import math
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from counter_task import Counter

from lipschitz.sweep.store import RunFolder
from lipschitz.training import checkpoint
from lipschitz.training.journal import json_values
from lipschitz.training.loop import SLICE, Trainer
from lipschitz.training.task import BestStepRule


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def values(records: Iterable[dict[str, Any]], metric: str = "distance") -> dict[int, float | None]:
    return {record["step"]: record["value"] for record in records if record["metric"] == metric}


def seconds(records: Iterable[dict[str, Any]]) -> dict[int, float]:
    return {record["step"]: record["seconds"] for record in records}


def test_measures_the_start_every_interval_and_the_end(folder: RunFolder) -> None:
    list(Trainer(Counter(), folder, steps=200, every=60).run())
    assert values(folder.records()) == {0: 120, 60: 60, 120: 0, 180: 60, 200: 80}
    assert set(values(folder.records(), "undefined").values()) == {None}


def test_last_is_the_final_state_and_best_is_measured_afresh(folder: RunFolder) -> None:
    task = Counter()
    list(Trainer(task, folder, steps=200, every=60).run())
    result = folder.result()
    assert result is not None
    assert (result["status"], result["step"]) == ("finished", 200)
    assert result["last"] == {"distance": 80, "undefined": None}
    assert result["best"] == {"step": 120, "by": "distance", "values": {"distance": 0, "undefined": None}}
    assert result["floor"] == {"distance": 0, "undefined": None}
    assert task.draws.count("best") == 1
    samples = folder.samples()
    assert samples is not None
    assert samples["samples"] == 200, "the arrays show the last networks, not the best"


def test_a_task_keeps_what_the_next_evaluation_needs_after_each_scheduled_one(folder: RunFolder) -> None:
    task, kept = Counter(), []
    task.keep_for_next_evaluation = lambda: kept.append((int(task.value), task.draws[-1]))  # type: ignore[method-assign]
    list(Trainer(task, folder, steps=200, every=60).run())
    assert kept == [(step, f"step {step}") for step in (0, 60, 120, 180, 200)]


def test_every_step_is_told_how_far_the_run_is(folder: RunFolder) -> None:
    task = Counter()
    list(Trainer(task, folder, steps=120, every=50).run())
    assert task.progress == [step / 120 for step in range(120)]


def test_a_resumed_run_is_told_how_far_it_is(folder: RunFolder) -> None:
    list(Trainer(Counter(), folder, steps=120, every=50).run(iter([False] * 20 + [True] * 9).__next__))
    task = Counter()
    again = Trainer(task, folder, steps=120, every=50)
    again.restore()
    assert 0 < again.step < 50
    list(again.run())
    assert task.progress == [step / 120 for step in range(int(120 - len(task.progress)), 120)]
    assert task.value == 120


def test_divergence_ends_the_run_and_keeps_its_records(folder: RunFolder) -> None:
    reached = list(Trainer(Counter(diverges_at=70), folder, steps=200, every=60).run())
    assert reached[-1] == 2 * SLICE
    assert folder.status() == "diverged"
    assert values(folder.records()) == {0: 120, 60: 60}
    result = folder.result()
    assert result is not None
    assert result.keys() == {"status", "step", "seconds"}, "its last values are those of no step"
    assert result["step"] == 2 * SLICE


@pytest.mark.parametrize("slices", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("saved", [True, False], ids=["told to stop", "killed"])
def test_going_on_equals_an_undisturbed_run(tmp_path: Path, slices: int, saved: bool) -> None:
    whole, parted = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parted")
    for folder in (whole, parted):
        folder.path.mkdir()
    list(Trainer(Counter(), whole, steps=200, every=60).run())
    first = Trainer(Counter(), parted, steps=200, every=60)
    for _, _step in zip(range(slices), first.run(), strict=False):
        pass
    if saved and slices:
        first.save()
    second = Trainer(Counter(), parted, steps=200, every=60)
    assert second.restore() == []
    list(second.run())
    assert values(parted.records()) == values(whole.records())
    assert len(parted.records()) == len(whole.records())
    ours, theirs = parted.result(), whole.result()
    assert ours is not None
    assert theirs is not None
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
@pytest.mark.parametrize("saved", [True, False], ids=["told to stop", "killed"])
def test_seconds_go_on_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slices: int, saved: bool
) -> None:
    whole, parted = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parted")
    for folder in (whole, parted):
        folder.path.mkdir()
    ticks = count()
    # Each slice takes one second.
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    list(Trainer(Counter(), whole, steps=200, every=60).run())
    first = Trainer(Counter(), parted, steps=200, every=60)
    for _ in zip(range(slices), first.run(), strict=False):
        pass
    if saved:
        first.save()
    second = Trainer(Counter(), parted, steps=200, every=60)
    second.restore()
    list(second.run())
    # Slices end at 50, 60, 100, 120, 150, 180 and 200.
    assert seconds(whole.records()) == {0: 0, 60: 2, 120: 4, 180: 6, 200: 7}
    assert seconds(parted.records()) == seconds(whole.records())
    result = parted.result()
    assert result is not None
    assert result["seconds"] == 7


def test_records_that_no_checkpoint_knows_of_are_cut(folder: RunFolder) -> None:
    next(iter(Trainer(Counter(), folder, steps=200, every=50).run()))
    folder.append_records([{"step": 99, "seconds": 0, "metric": "distance", "value": 1}])
    with (folder.path / "records.jsonl").open("ab") as file:
        file.write(b'{"step": 99, "torn')
    again = Trainer(Counter(), folder, steps=200, every=50)
    again.restore()
    assert 99 not in values(folder.records())
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


def test_a_checkpoint_that_knows_more_records_than_there_are_is_not_used(folder: RunFolder) -> None:
    next(iter(Trainer(Counter(), folder, steps=200, every=50).run()))
    folder.cut_records(10)
    again = Trainer(Counter(), folder, steps=200, every=50)
    (warning, _) = again.restore()
    assert "counts" in warning
    assert "bytes of records, found 10; starting again" in warning
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


def test_a_checkpoint_of_another_format_is_not_used(folder: RunFolder) -> None:
    next(iter(Trainer(Counter(), folder, steps=200, every=50).run()))
    state = torch.load(folder.checkpoint, weights_only=True)
    checkpoint.save(state | {"format": checkpoint.FORMAT - 1}, folder.checkpoint, folder.previous_checkpoint)
    again = Trainer(Counter(), folder, steps=200, every=50)
    (warning, _) = again.restore()
    assert "version" in warning
    assert again.step == 0
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


@pytest.mark.parametrize(("better", "step"), [("lower", 100), ("higher", 200)])
def test_the_best_step_is_the_first_of_equal_values_finite_and_of_a_trained_network(
    folder: RunFolder, better: Any, step: int
) -> None:
    curve = {0: -1.0, 50: math.nan, 100: 3.0, 150: 3.0, 200: 7.0, 250: 7.0}
    if better == "higher":
        curve[0] = 9.0
    task = Counter()
    task.selection = BestStepRule("distance", better)
    task.evaluate = lambda draw: {"distance": curve[int(task.value)]}  # type: ignore[method-assign]
    list(Trainer(task, folder, steps=250, every=50).run())
    result = folder.result()
    assert result is not None
    assert result["best"]["step"] == step


def test_a_checkpoint_is_due_so_long_after_the_last_one(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    task, saved = Counter(), []
    # Each iteration takes a second.
    monkeypatch.setattr(time, "monotonic", lambda: 1000 + float(task.value))
    trainer = Trainer(task, folder, steps=500, every=400, checkpoint_seconds=120)
    write = trainer.save
    monkeypatch.setattr(trainer, "save", lambda: (saved.append(trainer.step), write()))
    list(trainer.run())
    # At each evaluation, and else where a slice ends more than 120 seconds after the last checkpoint.
    assert saved == [0, 150, 300, 400, 500]


def test_values_that_are_not_finite_in_json() -> None:
    found = json_values({"one": 1.5, "more": math.inf, "less": -math.inf, "none": math.nan})
    assert found == {"one": 1.5, "more": "inf", "less": None, "none": None}


def test_a_run_that_is_told_to_stop_does_so_after_the_step_in_hand(folder: RunFolder) -> None:
    task = Counter()
    list(Trainer(task, folder, steps=200, every=50).run(lambda: task.value >= 17))
    assert task.value == 17
    again = Trainer(Counter(), folder, steps=200, every=50)
    again.restore()
    assert again.step == 17


@pytest.mark.parametrize(("seconds", "saved"), [(300.0, 0), (0.0, 50)], ids=["rarely", "often"])
def test_the_time_between_checkpoints_can_be_chosen(folder: RunFolder, seconds: float, saved: int) -> None:
    """The trainer is killed in its third slice."""
    trainer = Trainer(Counter(), folder, steps=200, every=200, checkpoint_seconds=seconds)
    for _ in zip(range(2), trainer.run(), strict=False):
        pass
    again = Trainer(Counter(), folder, steps=200, every=200)
    again.restore()
    assert again.step == saved
