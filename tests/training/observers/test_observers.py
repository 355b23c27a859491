"""Observers of a run: what they are told, in which order, after a resume too, and that they cost the run nothing."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counter_task import Counter
from pydantic import PrivateAttr

from lipschitz.errors import InputError
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.training.loop import Trainer
from lipschitz.training.observers import OBSERVERS, Csv, Observer


class Diary(Observer):
    """Keeps what it is told."""

    _told: list[tuple[str, Any]] = PrivateAttr(default_factory=list)

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        self._told.append(("start", (folder.name, definition["seed"], step)))

    def on_step(self, step: int) -> None:
        self._told.append(("step", step))

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        self._told.append(("record", (step, values["distance"])))
        assert math.isnan(values["undefined"])

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        self._told.append(("samples", arrays["samples"].item()))

    def on_end(self, result: dict[str, Any]) -> None:
        self._told.append(("end", (result["status"], result["step"])))


class Vandal(Observer):
    """Changes whatever it is given."""

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        definition.clear()

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        values.clear()

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        arrays.pop("samples").fill(0)

    def on_end(self, result: dict[str, Any]) -> None:
        result.clear()


class Broken(Observer):
    """Raises in one hook."""

    hook: str

    def model_post_init(self, context: Any) -> None:
        def fail(*arguments: Any) -> None:
            raise OSError("no\nspace")

        object.__setattr__(self, self.hook, fail)


def run_folder(path: Path) -> RunFolder:
    path.mkdir()
    folder = RunFolder(path)
    folder.define({"seed": 7})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return run_folder(tmp_path / "run")


def test_an_observer_is_told_of_the_whole_run(folder: RunFolder) -> None:
    diary = Diary()
    list(Trainer(Counter(), folder, [diary], steps=120, every=60).run())
    assert diary._told == [
        ("start", ("run", 7, 0)),
        ("record", (0, 120)),
        ("step", 50),
        ("step", 60),
        ("record", (60, 60)),
        ("step", 100),
        ("step", 120),
        ("record", (120, 0)),
        ("samples", 120),
        ("end", ("finished", 120)),
    ]


def test_it_is_told_where_a_run_is_resumed(folder: RunFolder) -> None:
    for _ in zip(range(3), Trainer(Counter(), folder, steps=120, every=60).run(), strict=False):
        pass
    diary = Diary()
    again = Trainer(Counter(), folder, [diary], steps=120, every=60)
    again.restore()
    list(again.run())
    assert diary._told[:4] == [("start", ("run", 7, 60)), ("step", 100), ("step", 120), ("record", (120, 0))]


def test_a_run_that_diverges_has_no_samples(folder: RunFolder) -> None:
    diary = Diary()
    list(Trainer(Counter(diverges_at=40), folder, [diary], steps=120, every=60).run())
    assert diary._told[-2:] == [("step", 50), ("end", ("diverged", 50))]


def test_an_observer_cannot_change_the_run(tmp_path: Path) -> None:
    watched, alone = run_folder(tmp_path / "watched"), run_folder(tmp_path / "alone")
    diary = Diary()
    list(Trainer(Counter(), watched, [Vandal(), diary], steps=120, every=60).run())
    list(Trainer(Counter(), alone, steps=120, every=60).run())
    assert [told for told, _ in diary._told if told != "step"] == ["start", *["record"] * 3, "samples", "end"]
    assert [{**one, "seconds": 0} for one in watched.records()] == [{**one, "seconds": 0} for one in alone.records()]
    ours, theirs = watched.result(), alone.result()
    assert ours is not None
    assert theirs is not None
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    samples = watched.samples()
    assert samples is not None
    assert samples["samples"] == 120


@pytest.mark.parametrize("hook", ["on_start", "on_step", "on_record", "on_samples", "on_end"])
def test_one_that_raises_is_dropped_with_one_warning(folder: RunFolder, hook: str) -> None:
    diary, warnings = Diary(), list[str]()
    observers = [Broken(hook=hook), diary, Broken(hook=hook)]
    list(Trainer(Counter(), folder, observers, steps=120, every=60, warn=warnings.append).run())
    said = f"{folder.path}: observer test_observers failed in {hook} and is dropped: OSError: no space"
    assert warnings == [said, said]
    assert diary._told[-1] == ("end", ("finished", 120))
    assert folder.status() == "finished"


def test_one_that_exits_is_dropped(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Diary, "on_step", lambda *_: sys.exit("enough"))
    warnings: list[str] = []
    list(Trainer(Counter(), folder, [Diary()], steps=120, every=60, warn=warnings.append).run())
    assert warnings == [f"{folder.path}: observer test_observers failed in on_step and is dropped: SystemExit: enough"]
    assert folder.status() == "finished"


def test_the_journal_is_not_dropped(folder: RunFolder) -> None:
    (folder.path / "records.jsonl").mkdir()
    diary = Diary()
    with pytest.raises(IsADirectoryError):
        list(Trainer(Counter(), folder, [diary], steps=120, every=60).run())
    assert diary._told == [("start", ("run", 7, 0))]


def test_a_copy_has_a_state_of_its_own() -> None:
    first = Diary()
    second = first.model_copy(deep=True)
    first.on_step(1)
    assert second._told == []


def table(folder: RunFolder) -> list[list[str]]:
    """Return the rows of the table without their seconds."""
    rows = [line.split(",") for line in (folder.path / "metrics.csv").read_text().splitlines()]
    assert rows[0][1] == "seconds"
    return [[first, *rest] for first, _, *rest in rows]


def test_csv_has_a_row_an_evaluation(folder: RunFolder) -> None:
    list(Trainer(Counter(), folder, [Csv()], steps=120, every=60).run())
    assert table(folder) == [
        ["step", "distance", "undefined"],
        ["0", "120.0", "nan"],
        ["60", "60.0", "nan"],
        ["120", "0.0", "nan"],
    ]


@pytest.mark.parametrize("slices", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("saved", [True, False], ids=["told to stop", "killed"])
def test_csv_of_a_resumed_run_equals_that_of_an_uninterrupted_one(tmp_path: Path, slices: int, saved: bool) -> None:
    whole, parted = run_folder(tmp_path / "whole"), run_folder(tmp_path / "parted")
    list(Trainer(Counter(), whole, [Csv()], steps=200, every=60).run())
    # Rows of a run that was started here before, of which no checkpoint is left.
    (parted.path / "metrics.csv").write_text("step,seconds,other\n0,0.0,1.0\n60,0.1,2.0\n")
    first = Trainer(Counter(), parted, [Csv()], steps=200, every=60)
    for _ in zip(range(slices), first.run(), strict=False):
        pass
    if saved and slices:
        first.save()
    second = Trainer(Counter(), parted, [Csv()], steps=200, every=60)
    second.restore()
    list(second.run())
    assert table(parted) == table(whole)


def test_csv_takes_a_metric_that_comes_later(tmp_path: Path) -> None:
    csv = Csv()
    csv.on_start(tmp_path, {}, 0)
    csv.on_record(0, 0.0, {"w1": 0.5})
    csv.on_record(10, 0.25, {"mine": math.inf, "w1": 0.1 + 0.2})
    assert (tmp_path / "metrics.csv").read_text() == (
        "step,seconds,w1,mine\n0,0.0,0.5,\n10,0.25,0.30000000000000004,inf\n"
    )


def test_observers_are_found_by_name_and_in_files(tmp_path: Path) -> None:
    assert OBSERVERS.called("csv") is Csv
    (tmp_path / "mine.py").write_text(
        "from lipschitz.training.observers import Observer\n\n\nclass Mine(Observer):\n    every: int = 1\n"
    )
    assert OBSERVERS.called("mine.py:Mine", tmp_path)().label() == "Mine"
    with pytest.raises(InputError, match="unknown observer 'cvs'; did you mean 'csv'"):
        OBSERVERS.called("cvs")


class Previews(Observer):
    """Keeps what is shown of a run while it trains."""

    _seen: list[tuple[int, float]] = PrivateAttr(default_factory=list)

    def on_preview(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        self._seen.append((step, float(arrays["samples"][0])))


def test_samples_are_shown_after_each_evaluation_to_those_who_look(folder: RunFolder) -> None:
    watching, other = Previews(), Observer()
    trainer = Trainer(Counter(), folder, [watching, other], steps=100, every=50)
    trainer.task.arrays = lambda: {"samples": trainer.task.value.numpy().copy()}
    list(trainer.run())
    assert watching._seen == [(0, 0.0), (50, 50.0), (100, 100.0)]


def test_without_an_observer_of_samples_they_are_computed_once(folder: RunFolder) -> None:
    asked: list[int] = []
    task = Counter()
    task.arrays = lambda: asked.append(1) or {}
    list(Trainer(task, folder, [Observer()], steps=100, every=50).run())
    assert len(asked) == 1
