"""When the loop evaluates, keeps the best step and saves, and how far it tells a task that it is."""

import math
import time
from pathlib import Path
from typing import Any

import pytest
from counter_task import Counter

from lipschitz.sweep.run_folder import RunFolder
from lipschitz.training.journal import json_values
from lipschitz.training.loop import Trainer
from lipschitz.training.task import BestStepRule


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_task_keeps_what_the_next_evaluation_needs_after_each_scheduled_one(folder: RunFolder) -> None:
    task, kept = Counter(), []
    task.keep_for_next_evaluation = lambda: kept.append((int(task.value), task.draws[-1]))  # type: ignore[method-assign]
    list(Trainer(task, folder, steps=200, every=60).run())
    assert kept == [(step, f"step {step}") for step in (0, 60, 120, 180, 200)]


def test_a_resumed_run_is_told_how_far_it_is(folder: RunFolder) -> None:
    list(Trainer(Counter(), folder, steps=120, every=50).run(iter([False] * 20 + [True] * 9).__next__))
    task = Counter()
    again = Trainer(task, folder, steps=120, every=50)
    again.restore()
    assert 0 < again.step < 50
    list(again.run())
    assert task.progress == [step / 120 for step in range(int(120 - len(task.progress)), 120)]
    assert task.value == 120


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
