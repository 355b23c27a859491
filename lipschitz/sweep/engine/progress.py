"""What a sweep shows while it runs: one display for all of it on a terminal, a line per run elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lipschitz.errors import InputError
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.timing.rounds import ROUNDS


class RunsDisplay:
    """Follows the runs of a sweep: done, running, and the time that the rest will take."""

    def __init__(self, console: Console, progress: Progress, jobs: Sequence[Job], total: int) -> None:
        self._console, self._progress, self._total = console, progress, total
        self._done, self._running = total - len(jobs), 0
        self._steps: dict[str, int] = {}
        self._budgets = {job.run.id: _budget(job) for job in jobs}
        self._bar = progress.add_task("", total=sum(self._budgets.values()))
        self._show()

    def started(self, job: Job) -> None:
        """One more run is running."""
        self._running += 1
        self._show()

    def stepped(self, job: Job, step: int) -> None:
        """A run has gone on."""
        # A resumed run starts where its checkpoint stood: what lies before was done earlier, and counts at once.
        self._progress.advance(self._bar, step - self._steps.get(job.run.id, 0))
        self._steps[job.run.id] = step

    def warned(self, line: str) -> None:
        """Print the warning above the display."""
        warn(self._console, line)

    def returned(self, job: Job) -> None:
        """A run waits again."""
        self._running -= 1
        self._show()

    def ended(self, job: Job) -> None:
        """A run is over, one way or another."""
        self.stepped(job, self._budgets[job.run.id])
        self._running -= 1
        self._done += 1
        self._show()
        status = job.folder.status()
        if not self._console.is_terminal or status not in ("finished", "waiting"):
            self._console.print(f"{self._done}/{self._total} {status}: {job.run.id}", highlight=False, soft_wrap=True)

    def _show(self) -> None:
        self._progress.update(self._bar, description=f"{self._done}/{self._total} runs done, {self._running} running")


def _budget(job: Job) -> int:
    try:
        return job.steps
    except InputError:
        # The run will fail with that line.
        return 0


class TimingDisplay:
    """Follows the timing pass."""

    def __init__(self, progress: Progress, groups: Sequence[Sequence[Job]]) -> None:
        self._progress = progress
        on_cuda = sum(torch.device(job.device).type == "cuda" for group in groups for job in group)
        self._bar = progress.add_task("timing each configuration alone", total=ROUNDS * len(groups) + on_cuda)

    def started(self, job: Job) -> None:
        """Nothing to show yet."""

    def stepped(self, job: Job, step: int) -> None:
        """A timing has no steps to show."""

    def warned(self, line: str) -> None:
        """Print the warning above the display."""
        warn(self._progress.console, line)

    def returned(self, job: Job) -> None:
        """Nothing that is timed is given back."""

    def ended(self, job: Job) -> None:
        """One more group of configurations was timed in one more round, or one configuration captured."""
        self._progress.advance(self._bar)


def warn(console: Console, line: str) -> None:
    """Print a warning in one line."""
    console.print(f"warning: {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def display(console: Console, unit: str) -> Iterator[Progress]:
    """Show a progress display for the block, on a terminal; it counts ``unit``."""
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
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
