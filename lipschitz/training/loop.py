"""The loop: steps a task, measures it on schedule, keeps checkpoints, notices divergence, yields while slices run."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from lipschitz.training import checkpoint
from lipschitz.training.clock import Stopwatch
from lipschitz.training.iterations import CapturedIterations, iterations_of, together
from lipschitz.training.task import Task

SLICE = 50
"""Steps between two looks at whether the run still is finite."""
FORMAT = 2
"""Of checkpoints; one of another is not gone on from."""
CHECKPOINT_SECONDS = 300.0
"""Longest time between two checkpoints, give or take a slice: what a kill can cost where evaluations are rare."""


class Journal(Protocol):
    """Where a run's results go; the store's run folder is one."""

    checkpoint: Path
    previous_checkpoint: Path

    def append_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Append records and return the journal's size in bytes."""

    def records_size(self) -> int:
        """Return the size of the records in bytes."""

    def cut_records(self, size: int) -> None:
        """Cut the records back to ``size`` bytes."""

    def finish(self, result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Keep the result: the run is finished."""


class Trainer:
    """Trains one task for ``steps`` iterations, measuring it every ``every`` of them, at the start and at the end.

    `run` may be abandoned after any slice; a new trainer on the same journal goes on from the last checkpoint, and its
    numbers equal those of an undisturbed run.

    On CUDA several trainers take turns on one device, each on the stream that was current when its task was built:
    `run` yields while the device is at work on a slice, and looks at what came of it when it is asked to go on.
    """

    def __init__(
        self,
        task: Task,
        journal: Journal,
        *,
        steps: int,
        every: int,
        stream: torch.cuda.Stream | None = None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        """Capture iterations as CUDA graphs on ``stream``, the current one, if there is one."""
        self.task = task
        self.journal = journal
        self.steps = steps
        self.every = every
        self.step = 0
        self._iterations = iterations_of(task, steps, stream, together(SLICE, every))
        self._measured_at = -1
        self._size = 0
        self._last: dict[str, float | str | None] = {}
        self._best: dict[str, Any] | None = None
        self._watch = Stopwatch(task.device)
        self._checkpoint_seconds = checkpoint_seconds
        self._saved = time.monotonic()

    @property
    def is_captured(self) -> bool:
        """Whether iterations are replays of a graph, but for the first and those left over."""
        return isinstance(self._iterations, CapturedIterations)

    def release(self) -> None:
        """Give back what the device holds for captured iterations; none may be made afterwards."""
        self._iterations.release()

    def restore(self) -> list[str]:
        """Go on from the newest checkpoint that can be read; return a line for whatever was lost."""
        state, warnings = checkpoint.load(self.journal.checkpoint, self.journal.previous_checkpoint)
        written = self.journal.records_size()
        if state is not None and state.get("format") != FORMAT:
            warnings.append(f"{self.journal.checkpoint}: of an earlier version of lipschitz; starting again")
            state = None
        if state is not None and written < state["size"]:
            warnings.append(f"{self.journal.checkpoint}: knows more records than there are; starting again")
            state = None
        if state is not None:
            self.task.load_state_dict(state["task"])
            self.step, self._measured_at, self._size = state["step"], state["measured_at"], state["size"]
            self._last, self._best = state["last"], state["best"]
            self._watch.seconds = state["seconds"]
        if written > self._size:
            warnings.append(f"{self.journal.checkpoint}: going on from step {self.step}; later records are cut")
            self.journal.cut_records(self._size)
        return warnings

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        state = {
            "format": FORMAT,
            "step": self.step,
            "measured_at": self._measured_at,
            "seconds": self._watch.seconds,
            "size": self._size,
            "last": self._last,
            "best": self._best,
            "task": self.task.state_dict(),
        }
        checkpoint.save(state, self.journal.checkpoint, self.journal.previous_checkpoint)
        self._saved = time.monotonic()

    def run(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Train to the end, yielding the step reached after each slice; the result is written before the last yield.

        ``stopping`` is asked after each step, or replay of several, and before anything is measured; once it says so, a
        checkpoint is written and the run goes no further.

        Raises:
            Uncapturable: the iterations cannot be captured.
        """
        self._iterations.start(self.step)
        while not stopping():
            if not self._goes_on():
                yield self.step
                return
            asked = self._slice_end() - self.step
            with self._watch:
                made = self._iterations.make(asked, stopping)
            self.step += made
            if made < asked:
                break
            yield self.step
        self.save()

    def _goes_on(self) -> bool:
        """Look at what came of the last slice, measure or save it where due, and say whether another follows."""
        if not self.task.is_finite():
            self._finish("diverged", {}, {})
            return False
        if self._is_due() and self._measured_at < self.step:
            self._measure()
        elif time.monotonic() - self._saved > self._checkpoint_seconds:
            self.save()
        if self.step < self.steps:
            return True
        self._finish_measured()
        return False

    def _slice_end(self) -> int:
        ends = [(self.step // period + 1) * period for period in (SLICE, self.every)]
        return min(*ends, self.steps)

    def _is_due(self) -> bool:
        return self.step % self.every == 0 or self.step == self.steps

    def _measure(self) -> None:
        values = self.task.evaluate(f"step {self.step}")
        self._measured_at = self.step
        self._remember_best(values[self.task.selection.metric])
        self.task.end_interval()
        self._last = _recorded(values)
        seconds = round(self._watch.seconds, 4)
        self._size = self.journal.append_records(
            {"step": self.step, "seconds": seconds, "metric": metric, "value": value}
            for metric, value in self._last.items()
        )
        self.save()

    def _remember_best(self, value: float) -> None:
        if not math.isfinite(value) or self.step == 0:
            return
        if self._best is None or self.task.selection.improves(value, self._best["value"]):
            self._best = {"step": self.step, "value": value, "snapshot": self.task.snapshot()}

    def _finish_measured(self) -> None:
        arrays = self.task.arrays()
        best = None
        if self._best is not None:
            # Chosen on one draw, reported on another: the best of several noisy values is biased.
            self.task.load_snapshot(self._best["snapshot"])
            best = {
                "step": self._best["step"],
                "by": self.task.selection.metric,
                "values": _recorded(self.task.evaluate("best")),
            }
        facts = self.task.facts()
        floor = _recorded(facts["floor"])
        self._finish("finished", {"last": self._last, "best": best, **facts, "floor": floor}, arrays)

    def _finish(self, status: str, result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        seconds = round(self._watch.seconds, 4)
        self.journal.finish({"status": status, "step": self.step, "seconds": seconds, **result}, arrays)


def _recorded(values: dict[str, float]) -> dict[str, float | str | None]:
    """Return what stands in JSON, which knows no infinity: a bound that does not exist is "inf", NaN is null."""
    return {
        metric: value if math.isfinite(value) else "inf" if value == math.inf else None
        for metric, value in values.items()
    }
