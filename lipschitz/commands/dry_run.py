"""``lipschitz sweep --dry-run`` and ``--list``: show what a sweep would do, and what would stop it; write nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.commands.sweep import Request
from lipschitz.commands.sweep_plan import print_estimate, print_growth, print_plan, print_prediction
from lipschitz.errors import InputError, MissingInput
from lipschitz.extensions.entry import default_config
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.display import warn
from lipschitz.sweep.engine.base import ENGINES
from lipschitz.sweep.engine.job import unfinished_jobs
from lipschitz.sweep.growth import refuse_smaller
from lipschitz.sweep.input_checks import check_begun, check_data, check_weights
from lipschitz.sweep.inputs import claim_inputs
from lipschitz.sweep.run_folder import OVER
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import estimate_training


def show_ids(request: Request) -> None:
    """Print the id of each run that the request chooses, one a line, and nothing else.

    Raises:
        InputError: the sweep file or a condition is wrong.
    """
    for run in request.part(request.plan()).runs:
        print(run.id)


def show_plan(request: Request, console: Console) -> None:
    """Print each run and its status, and how long the rest takes; warn of what would stop the sweep. Write nothing.

    Raises:
        InputError: the sweep file is wrong, there is no such engine, or a data set is there and cannot be used.
    """
    default_config(ENGINES, request.site.engine, "--engine")
    with progress_lines("sweep", quiet=console.quiet) as progress:
        progress("checking the sweep file")
        plan = request.plan()
        _show_plan(request, plan, console, progress)


def _show_plan(request: Request, plan: Sweep, console: Console, progress: Callable[[str], object]) -> None:
    part = request.part(plan)
    folder = SweepFolder(plan.folder)
    print_plan(plan, console)
    statuses = {run.id: folder.run(run.id).status() for run in part.runs}
    # One call for all runs: rich takes a millisecond a call.
    lines = "\n".join(f"{status:9}{run_id}" for run_id, status in statuses.items())
    console.print(lines, soft_wrap=True, markup=False, highlight=False)
    unfinished = sum(status not in OVER for status in statuses.values())
    progress("checking devices and data")
    data, missing, unusable = _looked_at(part, request.site.data_root, lambda line: warn(console, line))
    missing = [*_errors(request.check_devices, part), *missing]
    others = [
        *_errors(claim_inputs, [], data, folder),
        *_errors(check_weights, part, request.site.inception_weights),
        *_errors(refuse_smaller, folder, plan),
        *_errors(check_begun, unfinished_jobs(part, folder, request.site, {})),
    ]
    for line in [*missing, *others]:
        warn(console, line)
    print_growth(plan, folder, console)
    progress("timing a few steps")
    # A step can be timed without the weights, which only evaluations need.
    found = None if missing or unusable else estimate_training(part, folder, request.site)
    print_estimate(found, unfinished, request.site, console)
    progress("counting operations")
    print_prediction([run for run in part.runs if statuses[run.id] not in OVER], console)
    if unusable:
        raise unusable[0]


def _looked_at(
    part: Sweep, data_root: Path | None, warn: Callable[[str], object]
) -> tuple[dict[str, str], list[str], list[InputError]]:
    """Return the SHA-256 of each data set that can be used, by label, which ones are missing, and why others fail."""
    data: dict[str, str] = {}
    missing: list[str] = []
    unusable: list[InputError] = []
    for label in dict.fromkeys(run.dataset.label() for run in part.runs):
        alone = replace(part, runs=tuple(run for run in part.runs if run.dataset.label() == label))
        try:
            data |= check_data(alone, data_root, warn)
        except MissingInput as error:
            missing.append(str(error))
        except InputError as error:
            unusable.append(error)
    return data, missing, unusable


def _errors(check: Callable[..., object], *arguments: object) -> list[str]:
    """Return the error that ``check`` raises on its arguments, if any."""
    try:
        check(*arguments)
    except InputError as error:
        return [str(error)]
    return []
