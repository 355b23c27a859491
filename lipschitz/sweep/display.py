"""Show the progress of a sweep: a live display on a terminal, a line per run and every minute elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lipschitz.errors import InputError, printable
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.progress_text import duration, progress_text
from lipschitz.sweep.timing.timing_pass import ROUNDS, batches

LINE_SECONDS = 60.0
"""Time between two lines that say how far a sweep is, where there is no live display."""


class RunsDisplay:
    """Shows how many runs are done and running, and the time that the rest will take.

    A `lipschitz.sweep.engine.base.Progress`.
    """

    def __init__(self, console: Console, bars: Bars, jobs: Sequence[Job], total: int) -> None:
        self._console, self._bars, self._total = console, bars, total
        self._done = total - len(jobs)
        self._steps: dict[str, int] = {}
        self._live: dict[str, Job] = {}
        # The first step of a run that this process hears of is that of its checkpoint, or of its first slice.
        self._first: dict[str, int] = {}
        self._began = time.monotonic()
        self._budgets = {job.run.id: _budget(job) for job in jobs}
        self._bar = bars.add_task("", total=sum(self._budgets.values()))
        self._show()

    def started(self, job: Job) -> None:
        """Count one more running run."""
        self._live[job.run.id] = job
        self._show()

    def stepped(self, job: Job, step: int) -> None:
        """Move the bar to the step of a run."""
        # A resumed run starts at the step of its checkpoint, which counts at once.
        self._first.setdefault(job.run.id, step)
        self._bars.advance(self._bar, step - self._steps.get(job.run.id, 0))
        self._steps[job.run.id] = step

    def warned(self, line: str) -> None:
        """Print the warning above the display."""
        warn(self._console, line)

    def returned(self, job: Job) -> None:
        """Count one running run less."""
        self._live.pop(job.run.id, None)
        self._show()

    def ended(self, job: Job) -> None:
        """Count one more run that is done; print its status unless the bar is enough."""
        self.stepped(job, self._budgets[job.run.id])
        self._live.pop(job.run.id, None)
        self._done += 1
        self._show()
        status = job.folder.status()
        if not self._console.is_terminal or status not in ("finished", "waiting"):
            self._console.print(f"{self._done}/{self._total} {status}: {job.run.id}", highlight=False, soft_wrap=True)

    def made_elsewhere(self, job: Job) -> None:
        """Count one more run that is done, by another process that joined."""
        self.stepped(job, self._budgets[job.run.id])
        # Its steps say nothing about the time that this process takes.
        self._first[job.run.id] = self._budgets[job.run.id]
        self._done += 1
        self._show()

    def line(self) -> str:
        """Return how far the sweep is: runs done, steps, time to go, and what was last measured."""
        made, whole = sum(self._steps.values()), sum(self._budgets.values())
        parts = [self._runs(), f"step {made:,} of {whole:,}"]
        if (here := sum(step - self._first[run_id] for run_id, step in self._steps.items())) > 0:
            seconds = (time.monotonic() - self._began) * (whole - made) / here
            parts.append(f"about {duration(seconds)} to go")
        beats = [(job.run.id, job.folder.heartbeat.read()) for job in self._live.values()]
        measured = [(beat.time, run_id, beat) for run_id, beat in beats if beat is not None and beat.quality]
        if measured:
            _, run_id, beat = max(measured)
            parts.append(f"last {run_id}: {progress_text(beat, is_running=False)}")
        return ", ".join(parts)

    def _runs(self) -> str:
        return f"{self._done}/{self._total} runs done, {len(self._live)} running"

    def _show(self) -> None:
        self._bars.update(self._bar, description=self._runs())


def _budget(job: Job) -> int:
    try:
        return job.steps
    except InputError:
        # The run will fail with this error.
        return 0


class TimingDisplay:
    """Shows how much of the timing pass is done. A `lipschitz.sweep.engine.base.Progress`."""

    def __init__(self, bars: Bars, groups: Sequence[Sequence[Job]]) -> None:
        self._bars = bars
        on_cuda = sum(torch.device(job.device).type == "cuda" for group in groups for job in group)
        rounds = sum(len(batches(group)) for group in groups)
        self._made, self._total = 0, ROUNDS * rounds + 2 * on_cuda
        self._bar = bars.add_task("timing each configuration alone", total=self._total)

    def started(self, job: Job) -> None:
        """Show nothing yet."""

    def stepped(self, job: Job, step: int) -> None:
        """Show nothing: a timing has no steps."""

    def warned(self, line: str) -> None:
        """Print the warning above the display."""
        warn(self._bars.console, line)

    def returned(self, job: Job) -> None:
        """Show nothing: what is timed is never given back."""

    def ended(self, job: Job) -> None:
        """Count one more round of a batch, or one more part that a GPU alone is measured by."""
        self._made += 1
        self._bars.advance(self._bar)

    def line(self) -> str:
        """Return how much of the timing pass is done."""
        return f"timing each configuration alone: {self._made} of {self._total} timings done"


@contextmanager
def regular_lines(console: Console, line: Callable[[], str], seconds: float = LINE_SECONDS) -> Iterator[None]:
    """Print ``line()`` every ``seconds`` during the block, where no live display is shown because nobody looks."""
    over = threading.Event()

    def print_lines() -> None:
        while not over.wait(seconds):
            console.print(printable(line()), markup=False, highlight=False, soft_wrap=True)

    thread = threading.Thread(target=print_lines, daemon=True)
    if not console.is_terminal:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.is_alive():
            thread.join()


def warn(console: Console, line: str) -> None:
    """Print a warning in one line."""
    console.print(f"warning: {printable(line)}", style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def display(console: Console, unit: str) -> Iterator[Bars]:
    """Show progress bars for the block, on a terminal; they count ``unit``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit},"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("to go"),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars
