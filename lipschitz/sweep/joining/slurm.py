"""Submit processes that join a sweep as jobs of SLURM, by submitit; each is requeued before its time is over."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lipschitz.errors import InputError, first_line, found
from lipschitz.exit_codes import GO_ON_LATER

SIGNAL_SECONDS = 120
"""How long before its end a job is told to save checkpoints, and is requeued; at most a quarter of its time."""
ENDS_SECONDS = 120.0
"""How long a job that was requeued waits for its end."""
EXAMPLE = "partition=gpu,time=4:00:00,gpus=1"


class Joiner:
    """A process that joins a sweep, as submitit calls it in a job.

    Args:
        command: the command line of the process.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Start the process and wait for it.

        Raises:
            RuntimeError: a run failed, or the process was stopped; the job is then failed.
        """
        self._process = subprocess.Popen(self.command)
        _wait_for(self._process)
        code = self._process.wait()
        if code == GO_ON_LATER and requeue():
            # SLURM ends this process.
            time.sleep(ENDS_SECONDS)
        if code:
            raise RuntimeError(f"exit code {code}: {' '.join(self.command)}")

    def checkpoint(self) -> Any:
        """Let the process save its checkpoints and end; return what submitit requeues: the same command."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            _wait_for(self._process)
        return DelayedSubmission(Joiner(self.command))


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has ended. `Popen.wait` holds a lock, for which a handler of signals would wait for ever."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def requeue() -> bool:
    """Requeue the job that this process is in, unless it was cancelled or is requeued already; say whether it was."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
    try:
        state = subprocess.run(["squeue", "--noheader", "--format=%T", "--job", job], capture_output=True, check=True)
        # A preempted job with a time of grace is still running; one that was cancelled is completing.
        if state.stdout.decode().strip() != "RUNNING":
            return False
        subprocess.run(["scontrol", "requeue", job], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def parse_options(text: str) -> dict[str, str]:
    """Return the options of sbatch in ``key=value,...``, such as ``partition=gpu,time=4:00:00``.

    Raises:
        InputError: a part is no option with a value, or there is no ``time``.
    """
    options = {}
    # A value may hold commas: a further part without a key belongs to it.
    for part in re.split(r",(?=[a-z][a-z-]*=)", text):
        key, _, value = part.partition("=")
        if not re.fullmatch(r"[a-z][a-z-]*", key) or not value:
            raise InputError(f"--slurm {found(part)}: expected options of sbatch, such as {EXAMPLE}")
        options[key] = value
    if "time" not in options:
        raise InputError(
            f"--slurm {found(text)}: lacks time, after which a job is requeued; expected such as {EXAMPLE}"
        )
    return options


def minutes(limit: str) -> int:
    """Return the minutes of a time as sbatch takes it: ``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M`` or ``D-H:M:S``.

    Raises:
        InputError: it is none of these.
    """
    days, dash, rest = limit.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in [*parts, *([days] if dash else [])]) or len(parts) > 3:
        raise InputError(f"--slurm time={limit}: expected minutes, H:MM:SS or D-H:MM:SS")
    numbers = [int(part) for part in parts]
    if dash:
        hours, mins, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, mins, seconds = numbers
    else:
        hours, mins, seconds = 0, *(*numbers, 0)[:2]
    return max(1, -(-(int(days or 0) * 86400 + hours * 3600 + mins * 60 + seconds) // 60))


def submit(command: Sequence[str], folder: Path, name: str, options: Mapping[str, str], jobs: int) -> list[str]:
    """Submit ``jobs`` processes that run ``command``, as one array; return the ids of the jobs.

    Args:
        command: of a process that joins.
        folder: where submitit writes scripts and logs; all nodes can read it.
        name: of the jobs.
        options: of sbatch, by name.
        jobs: their number.

    Raises:
        InputError: submitit is not installed, there is no SLURM here, or it does not accept the options.
    """
    limit = minutes(options["time"])
    # SIGUSR1, by default SIGUSR2, which would end the process that joins: SLURM signals every process of a job.
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"
    try:
        import submitit
    except ImportError:
        how = "install it with pip install -e '.[slurm]'"
        raise InputError(f"--slurm: needs the package submitit, which is not installed; {how}") from None
    try:
        # As often as it takes: a job that made no progress would be requeued for ever, but every job ends a step.
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=10**6)
        executor.update_parameters(
            job_name=name,
            time=limit,
            additional_parameters={
                "requeue": True,
                "signal": f"USR1@{min(SIGNAL_SECONDS, 60 * limit // 4)}",
                **options,
            },
            stderr_to_stdout=True,
        )
        with executor.batch():
            submitted = [executor.submit(Joiner(command)) for _ in range(jobs)]
        return [str(job.job_id) for job in submitted]
    except (RuntimeError, OSError, ValueError, submitit.core.utils.FailedJobError) as error:
        raise InputError(f"--slurm: not submitted: {first_line(error)}; see `sbatch --help`") from None
