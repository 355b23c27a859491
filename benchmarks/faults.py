"""Try faults of every kind on a tiny sweep, and compare with an undisturbed one: records lost, doubled, changed.

``python benchmarks/faults.py --tries 20`` writes results/reliability; ``--only NAME`` tries the faults whose names hold
it. Linux only. What needs root, such as a full disk, is not tried without. See ``--help``.
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from fault_injection import files, folders, hostile_files, machine, methods, processes, references, sweep_files
from fault_injection.fault import Fault
from fault_injection.outcome import Outcome
from fault_injection.table import Row, write
from fault_injection.trial import Hung, Trial

import lipschitz.commands
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.process import PRELOAD
from lipschitz.sweep.provenance import provenance

FAULTS: list[Fault] = [
    fault
    for module in (processes, machine, folders, files, sweep_files, hostile_files, methods)
    for fault in module.FAULTS
]
ALARM, LONGEST = 120, 200.0
"""Seconds after which a try is said to hang, and after which its process is killed."""


def main() -> None:
    options = _arguments()
    chosen = [fault for fault in FAULTS if _is_chosen(fault, options.only)]
    if not chosen:
        raise SystemExit(f"--only: no fault has such a name; known: {', '.join(fault.name for fault in FAULTS)}")
    torch.set_num_threads(1)
    origin = provenance(["cpu"], options.jobs, {})
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        folder = Path(scratch)
        import_everything(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        make = partial(references.make, folder / "references", {fault.sweep for fault in chosen})
        _apart(make) if options.jobs else make()
        for fault in chosen:
            start = time.monotonic()
            outcomes = _tries(fault, folder, options.tries, options.jobs, options.seed)
            rows.append(Row(fault, outcomes, time.monotonic() - start))
            _show(rows[-1])
            write(options.out, rows, origin, [fault.title for fault in FAULTS])
    print(options.out / "table.md")


def _tries(fault: Fault, folder: Path, tries: int, jobs: int, seed: int) -> list[Outcome]:
    """Try a fault, ``jobs`` tries at once, each in a process of its own; with no jobs in this one."""
    if fault.needs_root and os.geteuid() != 0:
        return [Outcome(where="needs root")]
    if not jobs:
        return [attempt(fault, folder, seed + index) for index in range(tries)]
    waiting, running = list(range(tries)), {}
    outcomes: dict[int, Outcome] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            index = waiting.pop(0)
            running[_fork(lambda index=index: _answer(fault, folder, seed + index))] = (index, time.monotonic())
        for pid, (index, start) in list(running.items()):
            late = time.monotonic() - start > LONGEST
            if late:
                os.killpg(pid, signal.SIGKILL)
            if os.waitpid(pid, 0 if late else os.WNOHANG)[0]:
                del running[pid]
                outcomes[index] = _answered(folder, seed + index)
        time.sleep(0.005)
    return [outcomes[index] for index in range(tries)]


def attempt(fault: Fault, folder: Path, seed: int) -> Outcome:
    """Make one try."""
    scratch = folder / f"try{seed}"
    trial = Trial(scratch, folder / "references", random.Random(f"{fault.name} {seed}"), fault.sweep)
    start = time.monotonic()
    signal.signal(signal.SIGALRM, _hung)
    signal.alarm(ALARM)
    try:
        fault.attempt(trial)
    except Hung:
        trial.outcome.how = "hung"
    except Exception:
        trial.outcome.how, trial.outcome.message = "the try itself failed", traceback.format_exc()
    finally:
        signal.alarm(0)
        for process in trial.started:
            process.signal_group(signal.SIGKILL)
        shutil.rmtree(scratch, ignore_errors=True)
    trial.outcome.message = trial.outcome.message or next(iter(trial.said), "")
    trial.outcome.seconds = time.monotonic() - start
    return trial.outcome


def _hung(*_: object) -> None:
    raise Hung


def _answer(fault: Fault, folder: Path, seed: int) -> None:
    outcome = attempt(fault, folder, seed)
    (folder / f"answer{seed}.json").write_text(json.dumps(asdict(outcome)))


def _answered(folder: Path, seed: int) -> Outcome:
    path = folder / f"answer{seed}.json"
    try:
        outcome = Outcome(**json.loads(path.read_text()))
        path.unlink()
    except (OSError, ValueError):
        machine.unmount(folder / f"try{seed}" / "place" / "results")
        shutil.rmtree(folder / f"try{seed}", ignore_errors=True)
        return Outcome(how="the try itself died or hung")
    return outcome


def _apart(call: Callable[[], object]) -> None:
    """Make a call in a process of its own, which leaves this one as it is."""
    if os.waitpid(_fork(call), 0)[1]:
        raise SystemExit("the undisturbed sweeps failed")


def _fork(call: Callable[[], object]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        call()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def import_everything(folder: Path) -> None:
    """Import what commands import when they run, and plan a sweep, so that processes that are forked have done it."""
    commands = [f"lipschitz.commands.{path.stem}" for path in Path(lipschitz.commands.__path__[0]).glob("[a-z]*.py")]
    for module in (*PRELOAD, *commands, "lipschitz.report.write"):
        importlib.import_module(module)
    for name, text in references.SWEEPS.items():
        (folder / f"{name}.yaml").write_text(text)
        load_sweep(folder / f"{name}.yaml")


def have_one_thread() -> None:
    """Start again with one thread in each library, if need be: processes are forked from this one."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if any(os.environ.get(name) != value for name, value in one.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **one})


def _is_chosen(fault: Fault, only: Sequence[str]) -> bool:
    return not only or any(name in fault.title for name in only)


def _show(row: Row) -> None:
    cells = row.cells()
    counts = " ".join(f"{name} {cells[name]}" for name in ("lost", "doubled", "changed", "tracebacks", "unclear"))
    print(f"{cells['as allowed']:4} {cells['fault']} ({cells['seconds']} s): {cells['happened']}; {counts}", flush=True)
    if not row.is_as_allowed:
        print(f"     {cells['message of a try']}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try faults on a tiny sweep.")
    parser.add_argument("--tries", type=int, default=20, help="tries of each fault")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="parts of the names of the faults to try")
    parser.add_argument("--jobs", type=int, default=2, help="tries at once; 0: in this process, for tests")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first try")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    have_one_thread()
    main()
