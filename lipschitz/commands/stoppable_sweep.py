"""Run a sweep, join one or start processes that do, and turn stops and failures into a line and an exit code."""

import signal
import sys
from pathlib import Path
from typing import NamedTuple

import typer
from rich.console import Console

from lipschitz.commands.join import join_sweep
from lipschitz.commands.joiners import start_joiners
from lipschitz.commands.sweep import Request, run_sweep
from lipschitz.errors import printable
from lipschitz.exit_codes import FAILED, GO_ON_LATER
from lipschitz.signals import Stopped, stopping_cleanly
from lipschitz.sweep.engine.base import DiskFull


class Started(NamedTuple):
    """How a sweep is started: the options of ``lipschitz sweep`` of these names."""

    force: bool
    retime: bool
    join: bool
    then_report: bool
    slurm: str | None
    ray: str | None
    jobs: int


def run(request: Request, how: Started, console: Console) -> None:
    """Run the sweep of a request.

    Raises:
        typer.Exit: with a code of `lipschitz.exit_codes`: a run failed, the disk is full, or the sweep was stopped.
    """

    def write(folder: Path) -> None:
        from lipschitz.commands.report import write_report

        write_report(folder, console)

    with stopping_cleanly():
        if how.slurm is not None or how.ray is not None:
            if start_joiners(request, sys.argv[1:], how.slurm, how.ray, how.jobs, console):
                raise typer.Exit(FAILED)
            return
        try:
            if how.join:
                report = write if how.then_report else None
                plan, failed = join_sweep(request, console, force=how.force, report=report)
            else:
                plan, failed = run_sweep(request, console, force=how.force, retime=how.retime)
        except KeyboardInterrupt as stop:
            name, code = (str(stop), stop.code) if isinstance(stop, Stopped) else ("Ctrl-C", 128 + signal.SIGINT)
            code = GO_ON_LATER if name in ("SIGTERM", "SIGUSR1") else code
            again = "run the same command again; each run continues from its last checkpoint"
            console.print(f"\nstopped by {name}: {again}", soft_wrap=True)
            raise typer.Exit(code) from None
        except DiskFull as full:
            again = "make space and run the same command again; each run continues from its last checkpoint"
            print(f"error: {printable(str(full))}; {again}", file=sys.stderr)
            raise typer.Exit(FAILED) from None
        if how.then_report and not how.join and len(failed) < len(plan.runs):
            write(plan.folder)
    if failed:
        raise typer.Exit(FAILED)
