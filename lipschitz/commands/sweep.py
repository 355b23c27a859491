"""``lipschitz sweep``: check a sweep file and its inputs, time its configurations, and run its unfinished runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.commands.sweep_plan import print_estimate, print_growth, print_plan
from lipschitz.errors import InputError, printable
from lipschitz.extensions.entry import default_config
from lipschitz.sweep.definition.run_filter import filtered
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.disk_space import check_space
from lipschitz.sweep.display import RunsDisplay, TimingDisplay, display, regular_lines, warn
from lipschitz.sweep.engine.base import ENGINES, Engine
from lipschitz.sweep.engine.job import Job, all_jobs, unfinished_jobs
from lipschitz.sweep.engine.job_queue import JobQueue
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.folder_lock import locked_folder, write_definition
from lipschitz.sweep.input_checks import check_begun, check_data, check_precisions, check_protocols, check_weights
from lipschitz.sweep.inputs import claim_inputs
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run_folder import OVER
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate, estimate, with_packs
from lipschitz.sweep.timing.shared_device import Shared
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.sweep.timing.timing_pass import groups_to_time, time_configurations, timing_groups
from lipschitz.sweep.timing.workers import choose_workers, measure_workers
from lipschitz.tasks.averaging import average_warnings


@dataclass(frozen=True)
class Request:
    """What the user asked for: a sweep file, the site of its runs, and where the results go."""

    file: Path
    site: Site
    out: Path | None = None
    limit_steps: int | None = None
    only: tuple[str, ...] = ()
    """Conditions on the runs that are made now; see `lipschitz.sweep.definition.run_filter`."""
    overrides: tuple[str, ...] = ()
    """Values that replace those of the file; see `lipschitz.sweep.definition.overrides`."""

    def plan(self) -> Sweep:
        """Expand the sweep file; settings that are chosen by results are chosen by those that exist so far.

        Raises:
            InputError: the file is wrong.
        """
        return load_sweep(self.file, self.limit_steps, self.out, self.overrides)

    def site_of(self, plan: Sweep) -> Site:
        """Return the site, with the observers of the sweep file after those of the command line."""
        named = {observer.name() for observer in self.site.observers}
        further = (observer for observer in plan.logging if observer.name() not in named)
        return replace(self.site, observers=(*self.site.observers, *further))

    def part(self, plan: Sweep) -> Sweep:
        """Return ``plan`` with those runs alone that the conditions choose.

        Raises:
            InputError: a condition is wrong.
        """
        return replace(plan, runs=filtered(plan.runs, self.only, plan.labels))

    def check(self, plan: Sweep, warn: Callable[[str], object]) -> dict[str, str]:
        """Check devices, weights and data; return the SHA-256 of each data set by label.

        ``warn`` is told what a user should know of the data.

        Raises:
            InputError: a device does not support a precision, or weights or data are missing or broken.
        """
        self.check_devices(plan)
        check_weights(plan, self.site.inception_weights)
        return check_data(plan, self.site.data_root, warn)

    def check_devices(self, plan: Sweep) -> None:
        """Refuse a device that does not support the precision of a run or of a protocol.

        Raises:
            InputError: the precision, the device and what is supported.
        """
        check_precisions((run.training.precision for run in plan.runs), self.site.devices)
        check_protocols((protocol for run in plan.runs for protocol in run.evaluation.protocols), self.site.devices)


class Outcome(NamedTuple):
    """The plan of a sweep that has run, and its failures."""

    plan: Sweep
    failed: list[str]
    """Ids of the runs that failed."""


def run_sweep(request: Request, console: Console, *, force: bool, retime: bool = False) -> Outcome:
    """Measure all steps again if asked, run what is unfinished, and then the runs whose settings are chosen by it.

    Raises:
        InputError: an input is wrong or missing; before the first run nothing is written.
        KeyboardInterrupt: the sweep was stopped; its runs can be resumed.
    """
    engine = default_config(ENGINES, request.site.engine, "--engine")
    notes: list[str] = []

    def note(line: str) -> None:
        # A data set is loaded again for the runs whose settings were chosen.
        if line not in notes:
            notes.append(line)
            warn(console, line)

    plan, part, data = checked(request, console, note, retime=retime)
    site = request.site_of(plan)
    with locked_folder(plan, force=force, say=lambda line: console.print(printable(line), soft_wrap=True)) as folder:
        folder.remove_leftovers(run.id for run in plan.runs)
        print_growth(plan, folder, console)
        while True:
            print_plan(plan, console)
            origin = provenance(site.devices, site.workers, data, notes)
            jobs = unfinished_jobs(part, folder, site, origin)
            check_begun(jobs)
            with progress_lines("sweep", quiet=console.quiet) as progress:
                progress("checking judges")
                jobs = claim_inputs(jobs, data, folder)
            write_definition(plan, folder, origin, measures=bool(jobs) or retime)
            if retime:
                time_groups(timing_groups(all_jobs(part, folder, site, origin)), engine, console)
                retime = False
            if jobs:
                check_space(jobs, lambda line: warn(console, line))
                time_groups(groups_to_time(jobs, folder), engine, console)
                train(jobs, part, folder, engine, console)
            else:
                console.print("all runs are finished")
            further = request.plan() if plan.waiting else plan
            if further.waiting == plan.waiting:
                break
            plan, part = further, request.part(further)
            data = request.check(part, note)
        failed = [run.id for run in part.runs if folder.run(run.id).status() not in OVER]
    print_failed(failed, folder, console)
    return Outcome(plan, failed)


def checked(
    request: Request, console: Console, note: Callable[[str], object], *, retime: bool = False
) -> tuple[Sweep, Sweep, dict[str, str]]:
    """Return the plan of a request, the part of it that is made now, and the SHA-256 of each data set by label.

    Raises:
        InputError: the sweep file, a condition or an input is wrong.
    """
    with progress_lines("sweep", quiet=console.quiet) as progress:
        progress("checking the sweep file")
        plan = request.plan()
        part = request.part(plan)
        if retime:
            _check_retimed(plan)
        progress("checking devices and data")
        return plan, part, request.check(part, note)


def print_failed(failed: Sequence[str], folder: SweepFolder, console: Console) -> None:
    """Print the id of each run that failed, and where its error is."""
    for run_id in failed:
        error = folder.run(run_id).error
        where = f"; traceback in {error}" if error.exists() else ""
        console.print(printable(f"failed: {run_id}{where}"), style="red", soft_wrap=True)


def train(
    jobs: Sequence[Job],
    part: Sweep,
    folder: SweepFolder,
    engine: Engine,
    console: Console,
    shared: Callable[[Sequence[Job]], Sequence[Job]] = lambda jobs: jobs,
) -> None:
    """Train ``jobs``, which are timed; ``shared`` turns them into the queue that others take from, too."""
    jobs = with_packs(jobs)
    # Only now are budgets in seconds known as steps.
    timed = [(job.run.training, iteration_ms(job.timing)) for job in jobs if job.timing and job.run.training.seconds]
    for line in average_warnings(one.averaged_steps(one.steps_at(ms)) for one, ms in timed):
        warn(console, line)
    jobs, found = _with_workers(jobs, folder, engine, console)
    site = jobs[0].site
    print_estimate(found, len(jobs), site, console)
    with display(console, "steps") as bars:
        runs = RunsDisplay(console, bars, jobs, len(part.runs))
        with regular_lines(console, runs.line):
            queue = shared(jobs)
            if isinstance(queue, JobQueue):
                queue.made_elsewhere = runs.made_elsewhere
            engine.run(queue, site, runs)


def time_groups(groups: Sequence[Sequence[Job]], engine: Engine, console: Console) -> None:
    """Time one iteration of each job, in groups that are compared."""
    if groups:
        with display(console, "timings") as bars:
            timings = TimingDisplay(bars, groups)
            with regular_lines(console, timings.line):
                time_configurations(groups, engine, timings)


def _check_retimed(plan: Sweep) -> None:
    """Refuse to measure steps again where a number of steps followed from their time.

    Raises:
        InputError: a run has a budget in seconds.
    """
    if any(run.training.seconds for run in plan.runs):
        raise InputError("--retime: budgets in seconds became steps by the timing that they had; allowed: steps")


def _with_workers(
    jobs: Sequence[Job], folder: SweepFolder, engine: Engine, console: Console
) -> tuple[Sequence[Job], Estimate | None]:
    """Return ``jobs`` on a site with the number of workers that was measured best, if it may be, and their time."""
    shared: Shared = {}
    if jobs[0].site.chooses_workers and jobs[0].device.startswith("cuda"):
        with display(console, "measurements") as bars:
            bar = bars.add_task("workers that share a GPU", total=None)
            shared = measure_workers(jobs, engine, lambda: bars.advance(bar))
    if choice := choose_workers(jobs, folder.timings(), shared):
        console.print(choice.why, soft_wrap=True, highlight=False)
        folder.write_provenance(choice.jobs[0].provenance)
        return choice.jobs, choice.estimate
    return jobs, estimate(jobs, folder.timings())
