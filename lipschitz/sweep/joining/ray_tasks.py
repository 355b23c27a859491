"""Start processes that join a sweep as tasks of a Ray cluster that runs already."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lipschitz.errors import InputError, first_line


def run_tasks(command: Sequence[str], address: str, tasks: int, say: Callable[[str], object]) -> list[str]:
    """Run ``command`` in ``tasks`` tasks of a Ray cluster, and wait for them; return an error for each that failed.

    A task takes a core, and of the cluster's GPUs an equal part, one at most. Ray starts one that is lost again.

    Args:
        command: of a process that joins; every machine of the cluster has the folder that it is run in.
        address: of the cluster: ``auto`` for that of this machine, or ``host:port``.
        tasks: their number.
        say: called with a line about what was started.

    Raises:
        InputError: Ray is not installed, or there is no such cluster.
        KeyboardInterrupt: re-raised after the processes have saved checkpoints.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError:
        how = "install it with pip install -e '.[ray]'"
        raise InputError(f"--ray: needs the package ray, which is not installed; {how}") from None
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray {address}: no cluster there: {first_line(error)}; start one with `ray start`"
        ) from None
    try:
        gpus = part_of_a_gpu(ray.cluster_resources(), tasks)
        # Kwargs of Ray are untyped.
        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": gpus, "max_retries": -1}
        remote = ray.remote(**options)(_join)
        started = [remote.remote(list(command), str(Path.cwd()), _environment()) for _ in range(tasks)]
        say(f"{tasks} {'task' if tasks == 1 else 'tasks'} started on {address}, each with {gpus:g} of a GPU")
        return [line for line in ray.get(started) if line]
    finally:
        # Ends tasks that still run, by SIGTERM: their processes save checkpoints.
        ray.shutdown()


def part_of_a_gpu(resources: Mapping[str, float], tasks: int) -> float:
    """Return which part of a GPU each of ``tasks`` tasks takes of a cluster with these resources."""
    return min(1.0, resources.get("GPU", 0.0) / tasks)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHONPATH", "XDG_", "LIPSCHITZ_"))}


def _join(command: list[str], folder: str, environment: dict[str, str]) -> str:
    """Run a process that joins; return an error, or nothing. It ends with its task, which Ray ends by a signal."""
    import subprocess

    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment})
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return f"exit code {code}: {' '.join(command)}" if code else ""
