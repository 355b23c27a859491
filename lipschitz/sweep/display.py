"""Show the progress of a sweep: a live display on a terminal, one line per run elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lipschitz.errors import InputError, printable
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.timing.timing_pass import ROUNDS, batches


class RunsDisplay:
    """Shows how many runs are done and running, and the time that the rest will take.

    A `lipschitz.sweep.engine.base.Progress`.
    """

    def __init__(self, console: Console, bars: Bars, jobs: Sequence[Job], total: int) -> None:
        self._console, self._bars, self._total = console, bars, total
        self._done, self._running = total - len(jobs), 0
        self._steps: dict[str, int] = {}
        self._budgets = {job.run.id: _budget(job) for job in jobs}
        self._bar = bars.add_task("", total=sum(self._budgets.values()))
        self._show()

    def started(self, job: Job) -> None:
        """Count one more running run."""
        self._running += 1
        self._show()

    def stepped(self, job: Job, step: int) -> None:
        """Move the bar to the step of a run."""
        # A resumed run starts at the step of its checkpoint, which counts at once.
        self._bars.advance(self._bar, step - self._steps.get(job.run.id, 0))
        self._steps[job.run.id] = step

    def warned(self, line: str) -> None:
        """Print the warning above the display."""
        warn(self._console, line)

    def returned(self, job: Job) -> None:
        """Count one running run less."""
        self._running -= 1
        self._show()

    def ended(self, job: Job) -> None:
        """Count one more run that is done; print its status unless the bar is enough."""
        self.stepped(job, self._budgets[job.run.id])
        self._running -= 1
        self._done += 1
        self._show()
        status = job.folder.status()
        if not self._console.is_terminal or status not in ("finished", "waiting"):
            self._console.print(f"{self._done}/{self._total} {status}: {job.run.id}", highlight=False, soft_wrap=True)

    def _show(self) -> None:
        self._bars.update(self._bar, description=f"{self._done}/{self._total} runs done, {self._running} running")


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
        self._bar = bars.add_task("timing each configuration alone", total=ROUNDS * rounds + 2 * on_cuda)

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
        self._bars.advance(self._bar)


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
