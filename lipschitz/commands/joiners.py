"""``lipschitz sweep --slurm`` and ``--ray``: start processes that join the sweep as jobs or tasks of a cluster."""

import sys
from collections.abc import Sequence

from rich.console import Console

from lipschitz.commands.sweep import Request
from lipschitz.commands.sweep_plan import print_plan
from lipschitz.errors import InputError, printable
from lipschitz.sweep.joining.ray_tasks import run_tasks
from lipschitz.sweep.joining.slurm import parse_options, submit


def start_joiners(
    request: Request, arguments: Sequence[str], slurm: str | None, ray: str | None, jobs: int, console: Console
) -> list[str]:
    """Start ``jobs`` processes that join the sweep; return the errors of those that were waited for and failed.

    Args:
        request: what the user asked for.
        arguments: of this command.
        slurm: options of sbatch, where they are jobs of SLURM.
        ray: address of a Ray cluster, where they are tasks of one.
        jobs: number of processes.
        console: where it is said what was done.

    Raises:
        InputError: the sweep file or an option is wrong, or there is no such cluster.
    """
    if slurm is not None and ray is not None:
        raise InputError("--slurm and --ray: expected one of them")
    if slurm is not None:
        submit_joiners(request, arguments, slurm, jobs, console)
        return []
    assert ray is not None
    return run_joiners(request, arguments, ray, jobs, console)


def submit_joiners(request: Request, arguments: Sequence[str], options: str, jobs: int, console: Console) -> None:
    """Submit processes that join the sweep as jobs of SLURM, and print how to watch and stop them.

    Args:
        request: what the user asked for.
        arguments: of this command.
        options: of sbatch, as ``key=value,...``.
        jobs: number of processes.
        console: where it is said what was done.

    Raises:
        InputError: the sweep file or an option is wrong, or nothing can be submitted here.
    """
    parsed = parse_options(options)
    plan, command = request.plan(), _command(arguments)
    print_plan(plan, console)
    ids = submit(command, plan.folder / "slurm", plan.name, parsed, jobs)
    array = ids[0].partition("_")[0]
    for line in (
        f"{jobs} {'job' if jobs == 1 else 'jobs'} submitted: {array}; logs in {plan.folder / 'slurm'}",
        f"watch: lipschitz status {plan.folder} --watch, squeue --job {array}",
        f"stop: scancel {array}; more: the same command again",
    ):
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)


def run_joiners(request: Request, arguments: Sequence[str], address: str, jobs: int, console: Console) -> list[str]:
    """Run processes that join the sweep as tasks of a Ray cluster, and wait for them; return and print their errors.

    Args:
        request: what the user asked for.
        arguments: of this command.
        address: of the cluster.
        jobs: number of processes.
        console: where it is said what was done.

    Raises:
        InputError: the sweep file is wrong, or there is no such cluster.
    """
    plan = request.plan()
    print_plan(plan, console)

    def say(line: str) -> None:
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)

    failed = run_tasks(_command(arguments), address, jobs, say)
    for line in failed:
        say(f"failed: {line}")
    say(f"see: lipschitz status {plan.folder}")
    return failed


def _command(arguments: Sequence[str]) -> list[str]:
    """Return the command of a process that joins: the arguments of this one, without --slurm, --ray and --jobs."""
    kept = _without_options(arguments, ("--slurm", "--ray", "--jobs"))
    return [sys.executable, "-m", "lipschitz", *kept, *([] if "--join" in kept else ["--join"])]


def _without_options(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return arguments without the options ``names`` and their values."""
    kept, is_value = [], False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument in names:
            is_value = True
        elif argument.partition("=")[0] not in names:
            kept.append(argument)
    return kept
