"""A sweep of two tiny runs, made by processes that join it or by a sweep by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from in_process_engine import InProcess
from sweeps import ProgressLog

from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import unfinished_jobs
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.folder_lock import locked_folder
from lipschitz.sweep.joining.shared_folder import shared_folder
from lipschitz.sweep.run_folder import RunFolder

# Checkpoints within and between evaluations: steps 0, 50, 80, 100, 120.
TINY = """\
    name: tiny
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 2, depth: 1}}]
    constraints: [none]
    seeds: [0, 1]
    training: {steps: 120, batch_size: 2}
    evaluation: {every: 80, samples: 8, gradient_samples: 2}
"""
SITE = Site(("cpu",), checkpoint_seconds=0.0, joins=True)
ENGINE = Path(__file__).with_name("in_process_engine.py")


def joined(sweep: Sweep, engine: InProcess | None = None) -> Callable[[], None]:
    def call() -> None:
        with shared_folder(sweep, force=False, lease=60.0, say=print) as shared:
            shared.define(sweep, {"commit": None})
            jobs = unfinished_jobs(sweep, shared.folder, SITE, {"device": "cpu: a"})
            (engine or InProcess()).run(shared.jobs(jobs), SITE, ProgressLog())

    return call


def alone(sweep: Sweep) -> None:
    with locked_folder(sweep, force=False, say=print) as folder:
        folder.remove_leftovers(run.id for run in sweep.runs)
        for job in unfinished_jobs(sweep, folder, SITE, {"device": "cpu: a"}):
            train(job, ProgressLog())


def found(sweep: Sweep) -> dict[str, Any]:
    """Return what the runs of a folder hold, without what a clock says and how often they were started."""
    runs = {}
    for run in sweep.runs:
        folder = RunFolder(sweep.folder / "runs" / run.id)
        assert folder.status() == "finished"
        result, samples = folder.result(), folder.samples()
        assert result
        assert samples
        runs[run.id] = (
            {key: value for key, value in result.items() if key != "seconds"},
            [(record["step"], record["metric"], record["value"]) for record in folder.records()],
            {name: array.tobytes() for name, array in samples.items()},
            {key: value for key, value in folder.definition().items() if key != "provenance"},
        )
    return runs


def names(sweep: Sweep) -> set[str]:
    """Return the files of a sweep, without the lock and without temporary files, which a later sweep removes."""
    paths = [path for path in sweep.folder.rglob("*") if path.name != "lock"]
    return {
        str(path.relative_to(sweep.folder)) for path in paths if not path.name.startswith((".provenance", ".sweep"))
    }
