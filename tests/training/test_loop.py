"""The loop, driven by a task small enough to follow by hand."""

import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from counter_task import Counter

from lipschitz.sweep.store import RunFolder
from lipschitz.training.loop import SLICE, Trainer


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


def test_a_run_that_may_not_end_has_no_result(folder: RunFolder) -> None:
    def refuse() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(Trainer(Counter(), folder, steps=60, every=60, before_end=refuse).run())
    assert folder.result() is None


def test_every_step_is_told_how_far_the_run_is(folder: RunFolder) -> None:
    task = Counter()
    list(Trainer(task, folder, steps=120, every=50).run())
    assert task.progress == [step / 120 for step in range(120)]


def test_divergence_ends_the_run_and_keeps_its_records(folder: RunFolder) -> None:
    reached = list(Trainer(Counter(diverges_at=70), folder, steps=200, every=60).run())
    assert reached[-1] == 2 * SLICE
    assert folder.status() == "diverged"
    assert values(folder.records()) == {0: 120, 60: 60}
    result = folder.result()
    assert result is not None
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
