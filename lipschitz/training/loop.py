"""The training loop: trains a task in slices, evaluates it on schedule, saves checkpoints, notices divergence."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch

from lipschitz.training.clock import Stopwatch
from lipschitz.training.iterations import CapturedIterations, iterations_of, together
from lipschitz.training.journal import Journal, JsonValue, RunFiles, json_values
from lipschitz.training.observers import Observer
from lipschitz.training.task import Task

Hook = Literal["on_start", "on_step", "on_record", "on_preview", "on_samples", "on_end"]
SLICE = 50
"""Most iterations between two checks that the run is finite."""
CHECKPOINT_SECONDS = 300.0
"""Longest time between two checkpoints, up to the length of a slice: what a killed run can lose."""


class Trainer:
    """Trains one task for ``steps`` iterations, and evaluates it at the start, after every ``every``, and at the end.

    A run may be stopped, or killed, at any time. A new trainer on the same files resumes it from the last checkpoint,
    and its numbers equal those of an uninterrupted run.

    On CUDA several trainers take turns on one device, each on the stream that was current when its task was built:
    `run` yields while the device is at work on a slice, and looks at its outcome when it is resumed.

    Args:
        task: what is trained.
        files: where records, checkpoints and the result are written.
        observers: notified of the run's events; each run has its own copies. One that raises is dropped.
        steps: iterations in all.
        every: iterations between two evaluations.
        identity: the run and its inputs, by name: what a checkpoint must agree with to be used.
        stream: the current CUDA stream, on which iterations are captured as graphs; None for no graphs.
        warn: called with one line for an observer that is dropped.
        checkpoint_seconds: longest time between two checkpoints.
        keep_checkpoints: whether the checkpoints of a run that is over stay, besides its networks.
        before_end: called before the result is written; it may raise, and the run then has no result.
    """

    def __init__(
        self,
        task: Task,
        files: RunFiles,
        observers: Sequence[Observer] = (),
        *,
        steps: int,
        every: int,
        identity: Mapping[str, str] | None = None,
        stream: torch.cuda.Stream | None = None,
        warn: Callable[[str], object] = warnings.warn,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
        keep_checkpoints: bool = False,
        before_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.task = task
        self.steps = steps
        self.every = every
        self.step = 0
        self._identity = dict(identity or {})
        self._iterations = iterations_of(task, steps, stream, together(SLICE, every))
        self._files, self._journal = files, Journal(files, keep_checkpoints=keep_checkpoints)
        self._observers = list(observers)
        self._warn = warn
        self._before_end = before_end
        self._evaluated_at = -1
        self._last: dict[str, JsonValue] = {}
        self._best: dict[str, Any] | None = None
        self._stopwatch = Stopwatch(task.device)
        self._checkpoint_seconds = checkpoint_seconds
        self._saved_at = time.monotonic()

    @property
    def is_captured(self) -> bool:
        """Whether iterations are replays of a CUDA graph, except the first ones and those left over."""
        return isinstance(self._iterations, CapturedIterations)

    def release(self) -> None:
        """Free the device memory of captured iterations; the trainer cannot train afterwards."""
        self._iterations.release()

    def restore(self) -> list[str]:
        """Go to the newest usable checkpoint, if there is one; return a warning for everything that was lost."""
        return self._journal.load(self._identity, self.steps, self._go_to)

    def _go_to(self, state: dict[str, Any]) -> None:
        """Go to the state of a checkpoint. If the task cannot load it, the error is raised and nothing has changed."""
        before = copy.deepcopy(self.task.state_dict())
        try:
            self.task.load_state_dict(state["task"])
        except Exception:
            self.task.load_state_dict(before)
            raise
        self.step, self._evaluated_at = state["step"], state["measured_at"]
        self._last, self._best = state["last"], state["best"]
        self._stopwatch.seconds = state["seconds"]

    def save(self) -> None:
        """Write a checkpoint."""
        self._journal.save(
            {
                "identity": self._identity,
                "steps": self.steps,
                "step": self.step,
                "measured_at": self._evaluated_at,
                "seconds": self._stopwatch.seconds,
                "last": self._last,
                "best": self._best,
                "task": self.task.state_dict(),
            }
        )
        self._saved_at = time.monotonic()

    def run(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Train to the end; yield the step reached after each slice, and once more when the result is written.

        ``stopping`` is asked after each iteration, or each replay of several, and before each evaluation. Once it
        returns True, a checkpoint is written and the iterator ends.

        Raises:
            Uncapturable: the iterations cannot be captured.
        """
        if self._observers:
            self._notify("on_start", self._files.path, self._files.definition(), self.step)
        self._iterations.start(self.step)
        while not stopping():
            if not self.task.is_finite():
                self._journal.keep(self._networks())
                self._end("diverged", {})
                yield self.step
                return
            if self._evaluation_is_due():
                self._evaluate()
            elif time.monotonic() - self._saved_at > self._checkpoint_seconds:
                self.save()
            if self.step >= self.steps:
                self._finish()
                yield self.step
                return
            asked = self._slice_end() - self.step
            with self._stopwatch:
                made = self._iterations.make(asked, stopping)
            self.step += made
            if made < asked:
                break
            self._notify("on_step", self.step)
            yield self.step
        self.save()

    def _slice_end(self) -> int:
        ends = [(self.step // period + 1) * period for period in (SLICE, self.every)]
        return min(*ends, self.steps)

    def _evaluation_is_due(self) -> bool:
        return self._evaluated_at < self.step and (self.step % self.every == 0 or self.step == self.steps)

    def _evaluate(self) -> None:
        values = self.task.evaluate(f"step {self.step}")
        if self.step == self.steps:
            # A task from outside the package may have been written before tasks had this method.
            values |= getattr(self.task, "evaluate_at_end", dict)()
        self._evaluated_at = self.step
        self._keep_best(values[self.task.selection.metric])
        self.task.keep_for_next_evaluation()
        self._last = json_values(values)
        self._notify("on_record", self.step, self._seconds(), values)
        if any(type(observer).on_preview is not Observer.on_preview for observer in self._observers):
            self._notify("on_preview", self.step, self.task.arrays())
        self.save()

    def _keep_best(self, value: float) -> None:
        if not math.isfinite(value) or self.step == 0:
            return
        if self._best is None or self.task.selection.improves(value, self._best["value"]):
            self._best = {"step": self.step, "value": value, "snapshot": self.task.snapshot()}

    def _finish(self) -> None:
        """Write the arrays of the last networks, and evaluate the best ones again."""
        # Before the best networks replace the last ones: the facts are of the last evaluation.
        arrays, facts = self.task.arrays(), self.task.facts()
        self._journal.keep(self._networks())
        best = None
        if self._best is not None:
            # Chosen on one draw and reported on another: the best of several noisy values is biased.
            best = {
                "step": self._best["step"],
                "by": self.task.selection.metric,
                "values": json_values(self.task.evaluate("best")),
            }
        if arrays:
            self._notify("on_samples", arrays)
        self._end("finished", {"last": self._last, "best": best, **facts, "floor": json_values(facts["floor"])})

    def _networks(self) -> dict[str, Any]:
        """Return the weights of the last and the best networks with their steps; the task then has the best ones."""
        kept: dict[str, Any] = {"step": {"last": self.step}, "last": _weights(self.task)}
        if self._best is not None:
            self.task.load_snapshot(self._best["snapshot"])
            kept["step"]["best"] = self._best["step"]
            # The same object is written once.
            kept["best"] = kept["last"] if self._best["step"] == self.step else _weights(self.task)
        return kept

    def _end(self, status: str, result: dict[str, Any]) -> None:
        self._before_end()
        self._notify("on_end", {"status": status, "step": self.step, "seconds": self._seconds(), **result})

    def _seconds(self) -> float:
        return round(self._stopwatch.seconds, 4)

    def _notify(self, hook: Hook, *arguments: Any) -> None:
        """Call a hook of the journal, then of each observer; drop an observer that raises."""
        getattr(self._journal, hook)(*arguments)
        for observer in list(self._observers):
            try:
                # Copies, so that no observer can change the run.
                getattr(observer, hook)(*copy.deepcopy(arguments))
            except (Exception, SystemExit) as error:
                self._observers = [other for other in self._observers if other is not observer]
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                self._warn(f"{self._files.path}: observer {observer.name()} failed in {hook} and is dropped: {reason}")


def _weights(task: Task) -> dict[str, dict[str, Any]]:
    """Return a copy of the state dict of each network, on the CPU."""
    # A task from outside the package may have been written before tasks had this method.
    networks: Mapping[str, torch.nn.Module] = getattr(task, "networks", dict)()
    return {
        name: {
            key: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
            for key, value in net.state_dict().items()
        }
        for name, net in networks.items()
    }
