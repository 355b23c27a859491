"""The loop, driven by a task small enough to follow by hand."""

import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from counter_task import Counter

from lipschitz.sweep.run_folder import RunFolder
from lipschitz.training import checkpoint
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
    (warning, then) = again.restore()
    assert "checkpoint set aside as checkpoint.pt.broken: it has seen 132 bytes of records, and 10 are left" in warning
    assert then.endswith(": starting again; later records are removed")
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


def test_a_checkpoint_of_another_format_is_not_used(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "FORMAT", 4)
        next(iter(Trainer(Counter(), folder, steps=200, every=50).run()))
    again = Trainer(Counter(), folder, steps=200, every=50)
    assert "of format 4, not 3" in again.restore()[0]
    assert again.step == 0
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


IDENTITY = {"run": "mine-s0-01234567", "data": "ab" * 32}


def trained(folder: RunFolder, slices: int, identity: dict[str, str] | None = None) -> Trainer:
    """Train some slices, of 50 steps, and return the trainer as a kill leaves it."""
    folder.path.mkdir(exist_ok=True)
    trainer = Trainer(Counter(), folder, steps=200, every=50, identity=identity or IDENTITY)
    for _ in zip(range(slices), trainer.run(), strict=False):
        pass
    return trainer


def resumed(folder: RunFolder, task: Counter | None = None) -> tuple[Trainer, list[str]]:
    trainer = Trainer(task or Counter(), folder, steps=200, every=50, identity=IDENTITY)
    return trainer, trainer.restore()


def resaved(folder: RunFolder, **changes: Any) -> None:
    """Change the newest checkpoint, with a checksum that is right."""
    state = checkpoint.read(folder.checkpoint) | changes
    checkpoint.save({key: value for key, value in state.items() if value != "left out"}, *folder_paths(folder))


def folder_paths(folder: RunFolder) -> tuple[Path, Path]:
    return folder.checkpoint, folder.path / "nothing.pt"


UNUSABLE: dict[str, dict[str, Any]] = {
    "another run's": {"identity": IDENTITY | {"run": "mine-s1-89abcdef"}},
    "of other data": {"identity": IDENTITY | {"data": "cd" * 32}},
    "of another number of steps": {"steps": 100},
    "beyond the end": {"step": 250},
    "negative": {"step": -3},
    "without a step": {"step": "left out"},
    "without the task": {"task": "left out"},
    "of another task": {"task": {"weights": torch.zeros(2)}},
    "of another size": {"task": {"value": torch.zeros(3)}},
    "that has seen other records": {"records": "0" * 64},
}


@pytest.mark.parametrize("changes", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_checkpoint_is_set_aside_and_the_one_before_it_used(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    list(trained(whole, 0).run())
    trained(folder, 3)
    resaved(folder, **changes)
    again, (line, then) = resumed(folder)
    assert line.startswith(f"{folder.checkpoint}: checkpoint set aside as checkpoint.pt.broken: ")
    assert "\n" not in line
    assert then == f"{folder.path}: resuming from step 50; later records are removed"
    list(again.run())
    assert values(folder.records()) == values(whole.records())
    assert len(folder.records()) == len(whole.records())


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(4)], ids=["list", "tensor"])
def test_without_a_usable_checkpoint_the_run_starts_again_at_once(
    folder: RunFolder, content: Any, tmp_path: Path
) -> None:
    trained(folder, 3)
    for path in (folder.checkpoint, folder.previous_checkpoint):
        torch.save(content, path)
    folder.checkpoint.write_bytes(b"torn")
    again, (first, second, then) = resumed(folder)
    assert "checkpoint.pt.broken: damaged" in first
    assert "checkpoint.prev.pt.broken: written by an earlier version" in second
    assert then.endswith(": starting again; later records are removed")
    assert (again.step, folder.records()) == (0, [])
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}
    assert folder.status() == "finished"


def test_a_task_that_cannot_load_a_state_is_as_before(folder: RunFolder) -> None:
    class Pair(Counter):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.value.fill_(state["first"] if "first" in state else float(state["value"]))
            self.value.copy_(state["value"])

    trained(folder, 1)
    resaved(folder, task={"first": 7.0})
    task = Pair()
    again, (line, _) = resumed(folder, task)
    assert "it cannot be loaded (KeyError: 'value')" in line
    assert (float(task.value), again.step) == (0.0, 0)


def test_another_seeds_checkpoints_in_place_of_its_own_are_not_adopted(tmp_path: Path) -> None:
    """As if two folders had been mixed up: the run starts again, and its records are those of an undisturbed one."""
    ours, theirs = RunFolder(tmp_path / "ours"), RunFolder(tmp_path / "theirs")
    trained(ours, 2)
    trained(theirs, 3, IDENTITY | {"run": "mine-s1-89abcdef"})
    for name in ("checkpoint.pt", "checkpoint.prev.pt", "records.jsonl"):
        (ours.path / name).write_bytes((theirs.path / name).read_bytes())
    again, lines = resumed(ours)
    assert "of another run: its run is mine-s1-89abcdef, not mine-s0-01234567" in lines[0]
    list(again.run())
    assert values(ours.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


@pytest.mark.parametrize("damage", ["zeros", "digit"])
def test_records_that_changed_are_made_again(folder: RunFolder, damage: str) -> None:
    """A power cut may leave zeros in place of what was written last."""
    trained(folder, 3)
    path = folder.path / "records.jsonl"
    size = checkpoint.read(folder.previous_checkpoint)["size"]
    content = path.read_bytes()
    later = content[size:]
    path.write_bytes(content[:size] + (bytes(len(later)) if damage == "zeros" else later.replace(b"2", b"3", 1)))
    again, (line, then) = resumed(folder)
    assert "the records that it has seen have changed" in line
    assert "resuming from step 50" in then
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}
    assert folder.status() == "finished"


def test_records_that_changed_from_the_start_are_all_made_again(folder: RunFolder) -> None:
    trained(folder, 3)
    path = folder.path / "records.jsonl"
    path.write_bytes(bytes(path.stat().st_size))
    again, lines = resumed(folder)
    assert [line.count("records that it has seen have changed") for line in lines] == [1, 1, 0]
    list(again.run())
    assert values(folder.records()) == {0: 120, 50: 70, 100: 20, 150: 30, 200: 80}


def test_a_lack_of_memory_sets_no_checkpoint_aside(folder: RunFolder) -> None:
    class Full(Counter):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            if float(state["value"]):
                raise torch.OutOfMemoryError("CUDA out of memory")

    trained(folder, 2)
    with pytest.raises(torch.OutOfMemoryError):
        resumed(folder, Full())
    assert resumed(folder)[0].step == 50
