"""``lipschitz sweep --join``: take part in a sweep that other processes, on any machine, make at the same time."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from lipschitz.commands.sweep import Outcome, Request, checked, print_failed, time_groups, train
from lipschitz.commands.sweep_plan import print_growth, print_plan
from lipschitz.errors import printable
from lipschitz.extensions.entry import default_config
from lipschitz.signals import raise_if_stopped
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.disk_space import check_space
from lipschitz.sweep.display import warn
from lipschitz.sweep.engine.base import ENGINES, Engine
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.input_checks import check_begun
from lipschitz.sweep.inputs import claim_inputs
from lipschitz.sweep.joining.claimed_jobs import LOOK_SECONDS
from lipschitz.sweep.joining.shared_folder import SharedFolder, shared_folder
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run_folder import OVER
from lipschitz.sweep.timing.timing_pass import groups_to_time


def join_sweep(request: Request, console: Console, *, force: bool, report: Callable[[Path], object] | None) -> Outcome:
    """Make runs that nobody has claimed until none is left, and then the runs whose settings are chosen by them.

    Args:
        request: what the user asked for; that of every other process has the same plan.
        console: where it is said what happens.
        force: leave out runs of the folder that the plan does not have.
        report: writes the report; called if all runs are over and no other process writes it.

    Raises:
        InputError: an input is wrong or missing, or the folder cannot be shared; before the first run nothing is
            written.
        KeyboardInterrupt: the process was stopped; its runs can be resumed, by any process.
    """
    engine = default_config(ENGINES, request.site.engine, "--engine")
    notes: list[str] = []

    def note(line: str) -> None:
        if line not in notes:
            notes.append(line)
            warn(console, line)

    def say(line: str) -> None:
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)

    plan, part, data = checked(request, console, note)
    site = request.site_of(plan)
    with shared_folder(plan, force=force, lease=site.lease, say=say) as shared:
        folder = shared.folder
        print_growth(plan, folder, console)
        while True:
            print_plan(plan, console)
            origin = provenance(site.devices, site.workers, data, notes)
            jobs = unfinished_jobs(part, folder, site, origin)
            check_begun(jobs)
            # Others may have ended runs meanwhile.
            damaged = {job.run.id for job in jobs if job.folder.is_over() and job.folder.status() == "damaged"}
            for run_id in damaged:
                warn(console, f"{run_id}: damaged, and left as it is; the same command without --join makes it again")
            jobs = claim_inputs([job for job in jobs if job.run.id not in damaged], data, folder)
            shared.define(plan, origin)
            if jobs:
                _time(jobs, shared, engine, console, say)
                train(jobs, part, folder, engine, console, shared.jobs)
            further = _once_chosen(request, plan, part, shared)
            if further.waiting == plan.waiting:
                break
            plan, part = further, request.part(further)
            data = request.check(part, note)
        statuses = {run.id: folder.run(run.id).status() for run in part.runs}
        failed = [run_id for run_id, status in statuses.items() if status in ("failed", "damaged")]
        left = sum(status not in (*OVER, "failed", "damaged") for status in statuses.values())
        if left:
            runs = "1 run is" if left == 1 else f"{left} runs are"
            say(f"{runs} left to other processes that joined; see `lipschitz status {folder.path}`")
        elif report and len(failed) < len(part.runs):
            _report(partial(report, folder.path), shared, say)
    print_failed(failed, folder, console)
    return Outcome(plan, failed)


def _once_chosen(request: Request, plan: Sweep, part: Sweep, shared: SharedFolder) -> Sweep:
    """Return the plan as soon as further settings are chosen; the same where no living process makes a run of it."""
    while True:
        further = request.plan() if plan.waiting else plan
        if further.waiting != plan.waiting or not plan.waiting or not shared.are_made(run.id for run in part.runs):
            return further
        raise_if_stopped()
        time.sleep(LOOK_SECONDS)


def _time(
    jobs: list[Job], shared: SharedFolder, engine: Engine, console: Console, say: Callable[[str], object]
) -> None:
    """Check the space, and time what is not timed on this kind of device, unless another process of this host does."""
    check_space(jobs, lambda line: warn(console, line))
    with shared.timing(jobs[0].timed_on, lambda: bool(groups_to_time(jobs, shared.folder)), say) as is_ours:
        if is_ours:
            time_groups(groups_to_time(jobs, shared.folder), engine, console)


def _report(report: Callable[[], object], shared: SharedFolder, say: Callable[[str], object]) -> None:
    if holder := shared.claims_report():
        say(f"the report is written by {holder.described()}")
        return
    try:
        report()
    finally:
        shared.leave_report()
