"""Run a sweep file from Python, as ``lipschitz sweep`` does, and return its results as DataFrames."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from lipschitz.api.results import SweepResults, load
from lipschitz.commands.report import write_report
from lipschitz.commands.sweep import Request, run_sweep
from lipschitz.sweep.engine.site import Site, worker_devices
from lipschitz.terminal import Terminal


def sweep(
    file: str | Path,
    *,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    engine: str = "local",
    only: Sequence[str] = (),
    limit_steps: int | None = None,
    force: bool = False,
    report: bool = True,
    quiet: bool = False,
) -> SweepResults:
    """Run what is not finished of a sweep file, write the report, and return the results.

    A run that fails is named on stdout, and has the status ``failed`` in the results. Ctrl-C stops the workers with
    checkpoints; the same call goes on. Other options of the command line are not needed here.

    Args:
        file: the sweep file (YAML).
        out: folder of the results; ``results/<name>`` by default.
        data_root: folder of the data sets that are files; ``data`` by default.
        device: ``auto``, ``cpu``, ``cuda``, or some GPUs: ``cuda:0,2``.
        workers: number of processes; by default one a CPU core, or what is measured to be fastest on a GPU.
        engine: what runs the workers: a name, or ``path/to/file.py:ClassName``.
        only: make only these runs now, such as ``["constraint=none", "seed=0..2"]``.
        limit_steps: train every run for so many steps; results go to ``<name>-limit-<steps>``.
        force: go on in a folder with runs that the file no longer has.
        report: whether to write tables, plots and page into the folder.
        quiet: whether to print nothing.

    Raises:
        InputError: the file, an argument or an input is wrong; before the first run nothing is written.
        KeyboardInterrupt: the sweep was stopped.
        DiskFull: the disk of the results is full; the same call goes on once there is space.
    """
    site = Site(
        devices=worker_devices(device, workers),
        chooses_workers=workers is None,
        data_root=None if data_root is None else Path(data_root),
        engine=engine,
    )
    request = Request(Path(file), site, None if out is None else Path(out), limit_steps, tuple(only))
    console = Terminal()
    console.quiet = quiet
    with _script_hidden():
        plan, _failed = run_sweep(request, console, force=force)
    if report:
        write_report(plan.folder, console)
    return load(plan.folder)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Let the block's worker processes not import the user's script, which they need nothing of.

    Python runs the script of the parent in a new process, unless that is a module or a notebook; a script that calls
    `sweep` without ``if __name__ == "__main__"`` would start a sweep in every worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
