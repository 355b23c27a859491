"""Kill processes that share one sweep at random moments, and compare with an undisturbed sweep, bit for bit.

``python benchmarks/joined_reliability.py --joiners 20 --kills 1000`` writes results/reliability/joined.md and .json.
Rounds of a tiny sweep are made until there were so many kills, or ``--minutes`` have passed. ``flock`` does nothing, as
on a file system whose locks lie. Linux only.
"""

import argparse
import fcntl
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from fault_injection import commands
from fault_injection.commands import Process
from fault_injection.outcome import Outcome, compare, read_runs, tracebacks_in
from fault_injection.trial import swept
from faults import have_one_thread, import_everything
from result_files import write_result

from lipschitz.exit_codes import FAILED, GO_ON_LATER
from lipschitz.sweep.provenance import provenance

SWEEP = """\
name: points
task: generation
datasets: [eight_gaussians]
models: [{{mlp: {{width: 4, depth: 1}}}}]
constraints: [none, spectral_normalization, weight_clipping]
seeds: {seeds}
training: {{steps: 80, batch_size: 4}}
evaluation: {{every: 60, samples: 8, gradient_samples: 2}}
"""
LEASE = 2
"""Seconds after which a silent process is taken for lost: `paused` is silent for longer."""
HANGS = 300.0
"""Seconds without a kill or a change of the results after which a round is said to hang."""


class Kill(NamedTuple):
    """A way to disturb a process that joined."""

    name: str
    number: int
    whom: str
    """``parent``, ``worker`` or ``group``: a process with all that it has started, like a host that fails."""
    pause: float = 0.0
    """Seconds after which it goes on, of a SIGSTOP."""


KILLS = (
    Kill("SIGKILL of a process", signal.SIGKILL, "parent"),
    Kill("SIGKILL of its worker", signal.SIGKILL, "worker"),
    Kill("SIGKILL of the process group", signal.SIGKILL, "group"),
    Kill("SIGTERM to a process", signal.SIGTERM, "parent"),
    Kill("SIGTERM to its worker", signal.SIGTERM, "worker"),
    Kill("SIGTERM to the process group", signal.SIGTERM, "group"),
    Kill("SIGUSR1 to the process group", signal.SIGUSR1, "group"),
    Kill("SIGSTOP of the process group for longer than the lease, then SIGCONT", signal.SIGSTOP, "group", 2.5 * LEASE),
    Kill("SIGSTOP of a worker, then SIGCONT", signal.SIGSTOP, "worker", 2.5 * LEASE),
)
EXPECTED_EXITS = (0, FAILED, GO_ON_LATER, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1)
"""0; a run failed whose worker was killed twice, and is made by a process that starts later; go on later; killed."""


class Round:
    """One sweep, shared by processes that are killed and started again until all runs are over."""

    def __init__(self, folder: Path, reference: Path, joiners: int, rng: random.Random) -> None:
        self._folder, self._joiners, self._rng = folder, joiners, rng
        self._results = folder / "results" / "points"
        self._reference = reference / "results" / "points"
        self._running: list[Process] = []
        self._started = 0
        self._continue: list[tuple[float, Callable[[], object]]] = []
        self.kills: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        self.outcome = Outcome()
        self.attempts = 0

    def make(self, kills: int, pause: float, deadline: float) -> None:
        """Disturb the sweep up to ``kills`` times, about every ``pause`` seconds, until it is over; compare it."""
        expected = read_runs(self._reference)
        self._folder.mkdir()
        (self._folder / "points.yaml").write_bytes((self._reference.parents[1] / "points.yaml").read_bytes())
        self._results.mkdir(parents=True)
        shutil.copytree(self._reference / "timing", self._results / "timing")
        try:
            while not self._is_over(len(expected)):
                while len(self._running) < self._joiners:
                    self._start()
                self._wait(self._rng.expovariate(1 / pause))
                if kills > self.kills.total() and time.monotonic() < deadline:
                    self._kill()
                elif time.monotonic() > deadline + HANGS:
                    self.outcome.how = "hung"
                    break
        finally:
            self._end()
        done = swept(self._folder, "points", "--join", "--lease", LEASE)
        self.outcome.tracebacks += tracebacks_in(done.stdout) + tracebacks_in(done.stderr)
        if done.returncode:
            self.outcome.how = f"exit {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}"
        found = read_runs(self._results)
        compare(expected, found, self.outcome)
        results = Counter(path.parent.name for path in self._results.rglob("result.json"))
        self.outcome.lost += sum(results[name] == 0 for name in expected)
        self.outcome.doubled += sum(count - 1 for count in results.values()) + len(set(found) - set(expected))
        self.attempts = len(list(self._results.rglob("attempt-*")))

    def _start(self) -> None:
        arguments = ["sweep", "points.yaml", "--join", "--lease", LEASE, "--workers", 1, "--no-report"]
        outputs = self._folder / f"process{self._started}"
        process = commands.start(arguments, self._folder, outputs)
        # Behind this process, which has to come to its kills.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, min(19, os.nice(0) + 4))
        self._running.append(process)
        self._started += 1

    def _wait(self, seconds: float) -> None:
        """Let processes go on that were stopped for long enough, and note those that have ended."""
        end = time.monotonic() + seconds
        while True:
            for due, go_on in [one for one in self._continue if one[0] <= time.monotonic()]:
                go_on()
                self._continue = [one for one in self._continue if one != (due, go_on)]
            for process in [one for one in self._running if not one.is_running()]:
                self._running.remove(process)
                self._note(process)
            if time.monotonic() >= end:
                return
            time.sleep(0.02)

    def _note(self, process: Process) -> None:
        # The server and the workers of a process that was killed end by themselves, unless they are stopped.
        assert process.returncode is not None
        self.exits[process.returncode] += 1
        self.outcome.tracebacks += sum(map(tracebacks_in, process.output()))

    def _kill(self) -> None:
        kill, process = self._rng.choice(KILLS), self._rng.choice(self._running)
        pids = {"parent": [process.pid], "group": [process.pid], "worker": process.workers()}[kill.whom]
        if not pids:
            # It has no worker at the moment.
            return
        pid = self._rng.choice(pids)
        send = process.signal_group if kill.whom == "group" else lambda number: process.signal(number, pid)
        send(kill.number)
        self.kills[kill.name] += 1
        if kill.pause:
            self._continue.append((time.monotonic() + kill.pause, lambda: send(signal.SIGCONT)))

    def _is_over(self, runs: int) -> bool:
        return len(list(self._results.glob("runs/*/result.json"))) == runs

    def _end(self) -> None:
        for _, go_on in self._continue:
            go_on()
        # Those that were stopped end what they have begun, and find that others were faster.
        end = time.monotonic() + 60
        while self._running and time.monotonic() < end:
            self._wait(0.1)
        for process in self._running:
            process.signal_group(signal.SIGKILL)
            process.wait(10)


def main() -> None:
    options = _arguments()
    torch.set_num_threads(1)
    lie()
    # Of the code that is forked: it may change meanwhile.
    origin = provenance(["cpu"], options.joiners, {})
    deadline = time.monotonic() + 60 * options.minutes
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="joined-") as scratch:
        folder = Path(scratch)
        import_everything(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        reference = folder / "reference"
        reference.mkdir()
        (reference / "points.yaml").write_text(SWEEP.format(seeds=list(range(options.seeds))))
        if swept(reference, "points").returncode:
            raise SystemExit("the undisturbed sweep failed")
        kills = 0
        while kills < options.kills and (time.monotonic() < deadline or not rounds):
            number = len(rounds)
            rounds.append(Round(folder / f"round{number}", reference, options.joiners, random.Random(number)))
            rounds[-1].make(options.kills - kills, options.pause, deadline)
            kills += rounds[-1].kills.total()
            _show(number, rounds[-1])
            _write(options, rounds, origin)


def lie() -> None:
    """Let ``flock`` do nothing, in this process and those forked from it."""
    fcntl.flock = lambda *_: None  # type: ignore[assignment]


def _show(number: int, made: Round) -> None:
    found = made.outcome
    print(
        f"round {number}: {made.kills.total()} kills, lost {found.lost}, doubled {found.doubled}, changed "
        f"{found.changed}, tracebacks {found.tracebacks}, {found.how}, exits {dict(made.exits)}, left {made.attempts}",
        flush=True,
    )


def _write(options: argparse.Namespace, rounds: list[Round], origin: dict[str, Any]) -> None:
    kills = sum((one.kills for one in rounds), Counter[str]())
    exits = sum((one.exits for one in rounds), Counter[int]())
    total = {
        name: sum(getattr(one.outcome, name) for one in rounds) for name in ("lost", "doubled", "changed", "tracebacks")
    }
    strange = {code: count for code, count in exits.items() if code not in EXPECTED_EXITS}
    hows = Counter(one.outcome.how for one in rounds)
    runs = 3 * options.seeds * len(rounds)
    result: dict[str, Any] = {
        "rounds": len(rounds), "joiners": options.joiners, "runs": runs, "kills": dict(kills), **total,
        "exits": {str(code): count for code, count in exits.items()}, "unexpected exits": strange, "ends": dict(hows),
        "attempts left": sum(one.attempts for one in rounds), "lease": LEASE,
        "provenance": origin,
    }  # fmt: skip
    text = (
        "# Processes that join one sweep, and are killed\n\n"
        f"{kills.total()} kills of {options.joiners} processes that share a folder, in {len(rounds)} rounds of "
        f"{3 * options.seeds} runs. Of {runs} runs: lost {total['lost']}, doubled {total['doubled']}, changed "
        f"{total['changed']}; tracebacks {total['tracebacks']}, unexpected exit codes {sum(strange.values())}, rounds "
        f"that hung or failed {len(rounds) - hows['equal']}.\n\n"
        f"A process that has ended is replaced by a new one until all runs are over. The lease is {LEASE} s, and "
        "`flock` does nothing. Processes are real: parents, fork servers and workers, forked from one that has "
        "imported everything. Each round is compared with an undisturbed sweep of the same file: records, results, "
        "definitions and samples in every bit, and one result for every run. Times were not measured."
    )
    rows = [("kill", "number"), *((name, str(count)) for name, count in sorted(kills.items()))]
    write_result(options.out, "joined", result, text, rows, "joined.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill processes that share one sweep.")
    parser.add_argument("--joiners", type=int, default=20, help="processes at once")
    parser.add_argument("--kills", type=int, default=1000, help="kills in all")
    parser.add_argument("--seeds", type=int, default=8, help="a third of the runs of a round")
    parser.add_argument("--pause", type=float, default=0.1, help="mean seconds between two kills")
    parser.add_argument("--minutes", type=float, default=120.0, help="no further round is begun after that time")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    have_one_thread()
    main()
