"""Processes that are killed, stopped or told to end, at random moments of a sweep with two workers."""

import signal
import time

from fault_injection.commands import from_start
from fault_injection.fault import Fault, Try
from fault_injection.trial import Trial
from lipschitz.exit_codes import GO_ON_LATER

EQUAL = ("equal",)
STOPPED = ("stopped",)


def killed(trial: Trial, whom: str) -> None:
    """Kill -9 the group, a worker, the parent or the fork server, and start again."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process)
    if whom == "group":
        process.signal_group(signal.SIGKILL)
    else:
        # In another order than they started, and none where all are at their end.
        found = {"parent": lambda: [process.pid], "server": lambda: [process.server()], "worker": process.workers}[
            whom
        ]()
        for pid in trial.rng.sample(found, min(1, len(found))):
            if pid:
                process.signal(signal.SIGKILL, pid)
    trial.ended(process)
    trial.finish()


def killed_while_timed(trial: Trial) -> None:
    """Kill -9 the group before the first run, in the timing pass or in the files that a sweep begins with."""
    trial.begin("new", timings=False)
    process = trial.start()
    trial.pause(trial.rng.uniform(0, 3))
    process.signal_group(signal.SIGKILL)
    trial.ended(process)
    trial.finish()


def told_to_end(trial: Trial, number: int, code: int, *, group: bool = False) -> None:
    """Send a signal to the parent or to the group: each run saves a checkpoint, and one line says how to continue."""
    trial.begin("new")
    process = trial.start("--checkpoint-seconds", 1000)
    trial.wait_for_records(process)
    (process.signal_group if group else process.signal)(number)
    done = trial.ended(process)
    if done.returncode == code:
        trial.how("stopped" if "\nstopped" in f"\n{done.stdout}\n{done.stderr}" else "silent")
    elif done.returncode != 0:
        trial.how(f"exit {done.returncode}")
    trial.finish()


def interrupted_twice(trial: Trial) -> None:
    """Press Ctrl-C, and once more before the sweep has stopped."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process)
    for _ in range(2):
        process.signal_group(signal.SIGINT)
        trial.pause(trial.rng.uniform(0, 0.3))
    done = trial.ended(process)
    trial.how({0: "equal", 130: "stopped"}.get(done.returncode, f"exit {done.returncode}"))
    trial.finish()


def interrupted_at_start(trial: Trial) -> None:
    """Press Ctrl-C while the interpreter starts, modules are imported or inputs are checked."""
    trial.begin("new")
    process = trial.start(begin=from_start)
    trial.pause(trial.rng.uniform(0.2, 4))
    process.signal_group(signal.SIGINT)
    done = trial.ended(process)
    # Before `main` begins, Python itself ends by the signal.
    trial.how({0: "equal", 130: "stopped", -signal.SIGINT: "stopped"}.get(done.returncode, f"exit {done.returncode}"))
    trial.finish()


def paused(trial: Trial) -> None:
    """Stop the whole group for a while, as Ctrl-Z does, and let it continue."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process)
    process.signal_group(signal.SIGSTOP)
    trial.pause(trial.rng.uniform(0.1, 0.5))
    process.signal_group(signal.SIGCONT)
    done = trial.ended(process)
    trial.how("equal" if done.returncode == 0 else f"exit {done.returncode}")
    trial.compare()


def stopped_worker_in_the_way(trial: Trial) -> None:
    """Stop a worker, kill its parent, and start again: the new sweep says what it waits for, and ends with the old."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process, trial.rng.uniform(0, 0.3))
    workers = process.workers()
    for pid in workers:
        process.signal(signal.SIGSTOP, pid)
    process.signal(signal.SIGKILL)
    trial.ended(process)
    again = trial.start()
    waited = time.monotonic() + 15
    while again.is_running() and time.monotonic() < waited and "wait" not in "".join(again.output()):
        trial.pause(0.05)
    said = "wait" in "".join(again.output())
    for pid in workers:
        process.signal(signal.SIGKILL, pid)
    done = trial.ended(again)
    undisturbed = not workers or (done.returncode == 0 and time.monotonic() < waited)
    trial.how("waited" if said else "equal" if undisturbed else "silent")
    trial.finish()


def all_at_once(trial: Trial) -> None:
    """Start a second sweep, a report and a status while a sweep runs: the second is refused, the others read."""
    trial.begin("new")
    first = trial.start()
    trial.wait_for_records(first, trial.rng.uniform(0, 0.4))
    others = [trial.start(), trial.start(command="status"), trial.start(command="report")]
    ends = [trial.ended(process) for process in others]
    done = trial.ended(first)
    second, status, report = (end.returncode for end in ends)
    fine = done.returncode == 0 and second in (0, 2) and status == 0 and report in (0, 2)
    trial.how("equal" if fine else f"exits {done.returncode}, {second}, {status}, {report}")
    trial.compare()


def _killed(whom: str) -> Try:
    return lambda trial: killed(trial, whom)


def _told(number: int, code: int, *, group: bool = False) -> Try:
    return lambda trial: told_to_end(trial, number, code, group=group)


FAULTS = [
    Fault("processes", "kill -9 of the whole group", EQUAL, _killed("group")),
    Fault("processes", "kill -9 of a worker", EQUAL, _killed("worker")),
    Fault("processes", "kill -9 of the parent", EQUAL, _killed("parent")),
    Fault("processes", "kill -9 of the fork server", EQUAL, _killed("server")),
    Fault("processes", "kill -9 before the first run", EQUAL, killed_while_timed),
    Fault("processes", "SIGTERM to the parent", (*STOPPED, "equal"), _told(signal.SIGTERM, GO_ON_LATER)),
    Fault("processes", "SIGTERM to the group", (*STOPPED, "equal"), _told(signal.SIGTERM, GO_ON_LATER, group=True)),
    Fault("processes", "SIGHUP to the group", (*STOPPED, "equal"), _told(signal.SIGHUP, 129, group=True)),
    Fault("processes", "SIGINT to the group", (*STOPPED, "equal"), _told(signal.SIGINT, 130, group=True)),
    Fault("processes", "SIGINT twice", (*STOPPED, "equal"), interrupted_twice),
    Fault("processes", "SIGINT in the first seconds", (*STOPPED, "equal"), interrupted_at_start),
    Fault("processes", "SIGSTOP and SIGCONT", EQUAL, paused),
    Fault(
        "processes", "SIGSTOP of workers, kill -9 of the parent, again", ("waited", "equal"), stopped_worker_in_the_way
    ),
    Fault("processes", "two sweeps, a report and a status at once", EQUAL, all_at_once),
]
