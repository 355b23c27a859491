"""A sweep of one tiny run, and attempts at it by several processes."""

from collections.abc import Callable

from sweeps import ProgressLog

from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.run_folder import RunFolder

# Checkpoints within and between evaluations: steps 0, 50, 80, 100, 120.
TINY = """\
    name: tiny
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 2, depth: 1}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 120, batch_size: 2}
    evaluation: {every: 80, samples: 8, gradient_samples: 2}
"""
SITE = Site(("cpu",), checkpoint_seconds=0.0, joins=True)


OWN, OTHER = "attempt-aa-0", "attempt-bb-0"
FINISHED = {"run.json", "records.jsonl", "samples.npz", "networks.pt", "result.json"}


def job_of(sweep: Sweep, attempt: str = "", device: str = "cpu: a", site: Site = SITE) -> Job:
    """Return the job of a process that joined or, without an attempt, of a sweep by itself."""
    return Job(sweep.runs[0], sweep.folder, site, "cpu", {"device": device}, "cpu: a", attempt=attempt)


class At(ProgressLog):
    """Calls something once, when the run has come to a step."""

    def __init__(self, calls: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._calls = calls

    @property
    def was_there(self) -> bool:
        return not self._calls

    def stepped(self, job: Job, step: int) -> None:
        super().stepped(job, step)
        self._calls.pop(step, lambda: None)()


def files(run: RunFolder) -> set[str]:
    return {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.name != "lock"}
