"""What ``lipschitz sweep`` does, and what it says while it does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from lipschitz.errors import InputError
from lipschitz.sweep import runner
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.devices import check_precisions
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import run_jobs
from lipschitz.sweep.engine.progress import RunsDisplay, TimingDisplay, display, warn
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing import timing_pass


@dataclass(frozen=True)
class Request:
    """What was asked for: a sweep file, and with what it is to be run."""

    file: Path
    out: Path | None
    data_root: Path | None
    slots: Sequence[str]
    """The device of each worker."""
    inception_weights: Path | None
    limit_steps: int | None
    pack: int | None = None
    """How many runs share a worker; as measured, where None."""

    def plan(self) -> Sweep:
        """Expand the file, by the results that are there where it chooses by them.

        Raises:
            InputError: the file is wrong.
        """
        return load_sweep(self.file, self.limit_steps, self.out)

    def check(self, plan: Sweep) -> dict[str, str]:
        """Return the SHA-256 of each data set by label, having seen that data and weights are there and whole.

        Raises:
            InputError: they are not, or a device does not compute in a run's precision.
        """
        self.check_device(plan)
        runner.check_weights(plan, self.inception_weights)
        return runner.check_data(plan, self.data_root)

    def check_device(self, plan: Sweep) -> None:
        """Refuse a device that does not compute in a run's precision.

        Raises:
            InputError: which, and what is allowed.
        """
        check_precisions((run.training.precision for run in plan.runs), self.slots)


class Outcome(NamedTuple):
    """What became of a sweep."""

    plan: Sweep
    failed: list[str]
    """Ids of the runs that failed."""


def show_what_would_run(request: Request, console: Console) -> None:
    """Print the plan, each run and how far it is, and how long the rest takes; warn of whatever is not there."""
    plan = request.plan()
    folder = SweepFolder(plan.folder)
    _show_plan(plan, console)
    statuses = {run.id: folder.run(run.id).status() for run in plan.runs}
    for run_id, status in statuses.items():
        console.print(f"{status:9}{run_id}", soft_wrap=True)
    todo = sum(status not in runner.DONE for status in statuses.values())
    warnings = [
        *_refusals(request.check_device, plan),
        *_refusals(runner.check_data, plan, request.data_root),
    ]
    for line in [*warnings, *_refusals(runner.check_weights, plan, request.inception_weights)]:
        warn(console, line)
    # A step can be timed without the weights that only evaluations need.
    seconds = None if warnings else timing_pass.estimate(plan, folder, request.data_root, request.slots)
    _show_estimate(seconds, todo, request.slots, console)


def _refusals(check: Callable[..., object], *arguments: object) -> list[str]:
    """Return the line by which ``check`` refuses its arguments; none where it does not."""
    try:
        check(*arguments)
    except InputError as error:
        return [str(error)]
    return []


def run_sweep(request: Request, console: Console, *, force: bool) -> Outcome:
    """Run what is not finished, and then what is chosen by it.

    Raises:
        InputError: something is wrong or missing; before the first run nothing is written.
        KeyboardInterrupt: every run has left its checkpoint.
    """
    plan = request.plan()
    data = request.check(plan)
    with runner.claimed(plan, plan.folder, force=force) as folder:
        while True:
            _show_plan(plan, console)
            jobs = runner.jobs_of(plan, folder, data, request.data_root, request.slots, request.inception_weights)
            _train(jobs, plan, folder, request, console)
            further = request.plan() if plan.waiting else plan
            if further.waiting == plan.waiting:
                break
            plan, data = further, request.check(further)
        failed = [run.id for run in plan.runs if folder.run(run.id).status() not in runner.DONE]
    for run_id in failed:
        error = folder.run(run_id).error
        where = f"; traceback in {error}" if error.exists() else ""
        console.print(f"failed: {run_id}{where}", style="red", soft_wrap=True)
    return Outcome(plan, failed)


def _train(jobs: Sequence[Job], plan: Sweep, folder: SweepFolder, request: Request, console: Console) -> None:
    if untimed := timing_pass.untimed(jobs, folder, request.pack):
        with display(console, "timings") as progress:
            timing_pass.time_configurations(untimed, TimingDisplay(progress, untimed), request.pack)
    if not jobs:
        console.print("all runs are finished")
        return
    jobs = timing_pass.packed(jobs, request.pack)
    _show_estimate(timing_pass.training_seconds(jobs, folder.timings()), len(jobs), request.slots, console)
    with display(console, "steps") as progress:
        run_jobs(jobs, request.slots, RunsDisplay(console, progress, jobs, len(plan.runs)))


def _show_plan(plan: Sweep, console: Console) -> None:
    configurations = len({run.configuration for run in plan.runs})
    steps = sum(run.training.steps or 0 for run in plan.runs)
    seconds = sum(run.training.seconds or 0 for run in plan.runs)
    budget = " and ".join([f"{steps:,} steps"] * bool(steps) + [f"{seconds:,.0f} seconds"] * bool(seconds))
    console.print(f"{plan.name}: {len(plan.runs)} runs of {configurations} configurations, {budget} -> {plan.folder}")
    for choice in plan.choices:
        console.print(choice.described(), soft_wrap=True)
    if plan.waiting:
        console.print(f"and {plan.waiting} runs whose settings are chosen once these are finished")


def _show_estimate(seconds: float | None, runs: int, slots: Sequence[str], console: Console) -> None:
    estimate = "time not measured"
    if seconds is not None:
        minutes = seconds / len(slots) / 60
        estimate = (
            f"about {minutes:.1f} min of training" if minutes < 600 else f"about {minutes / 60:.0f} h of training"
        )
        if devices := {slot for slot in slots if slot.startswith("cuda")}:
            estimate += f", {len(devices) * minutes / 60:.1f} GPU hours"
    console.print(f"{runs} runs to go on {len(slots)} workers: {estimate}, evaluation aside")
