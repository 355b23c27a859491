"""A job: a run to be made, on a site and a device; what an engine dispatches to a worker."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.sweep.attempt import Attempt
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.site import Site, device_kind
from lipschitz.sweep.run_folder import OVER
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.precision import check_device, check_protocol
from lipschitz.tasks.terms import Terms
from lipschitz.training.checkpoint import steps_of
from lipschitz.training.task import Task


@dataclass(frozen=True)
class Job:
    """A run to be made, and where."""

    run: Run
    sweep: Path
    """Folder of the sweep's results."""
    site: Site
    device: str
    """Torch device of the worker."""
    provenance: dict[str, Any]
    timed_on: str = ""
    """Kind of device whose timings count: that of the site's first device, not of the job's."""
    pack: int = 1
    """Number of runs per worker; 1: a worker alone."""
    captures: bool = True
    """Whether iterations are captured as a CUDA graph, on a device that has them."""
    shares_gpu: bool = False
    """Whether other workers may use its GPU meanwhile."""
    inputs: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the data and of the networks that judge the run, as the sweep found them; see `inputs_of`."""
    attempt: str = ""
    """Name of the folder of this attempt at the run, in a sweep that several processes joined; see `Attempt`."""

    @property
    def folder(self) -> Attempt:
        """The folder that this attempt at the run is written to; that of the run itself in a sweep by itself."""
        return Attempt(SweepFolder(self.sweep).run(self.run.id).path, self.attempt)

    @property
    def timing(self) -> dict[str, Any] | None:
        """What the timing pass measured of the run's configuration, or None."""
        return SweepFolder(self.sweep).timing(self.run.configuration, self.timed_on)

    @property
    def steps(self) -> int:
        """How many iterations the run has.

        A budget in seconds is converted to steps by the timing of the configuration once, when the run begins. Zero
        where the budget is in seconds and the configuration was not timed.

        Raises:
            InputError: the run has begun, and the number of steps that it began with cannot be read.
        """
        if self.run.training.steps is not None:
            return self.run.training.steps
        folder = self.folder
        try:
            return int(folder.definition()["steps"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            # With other steps than it began with, a resumed run would differ from an undisturbed one.
            kept = [path for path in (folder.checkpoint, folder.previous_checkpoint) if path.exists()]
            for path in kept:
                if steps := steps_of(path, self.run.id):
                    return steps
            if kept:
                raise InputError(
                    f"{folder.path / 'run.json'}: cannot be read ({type(error).__name__}), and it holds the number of "
                    "steps of the checkpoint beside it; put it back, or remove the run's folder to start again"
                ) from None
        timing = self.timing
        return self.run.training.steps_at(iteration_ms(timing) if timing else None)

    @property
    def quality(self) -> str:
        """The metric that chooses the run's best step."""
        return self.run.evaluation.select or self.run.task.judged_by(self.run.dataset, self.run.evaluation)[0]

    def with_seed(self, seed: int) -> "Job":
        """Return the same job with another seed."""
        return replace(self, run=replace(self.run, seed=seed))

    def load(self) -> Data | PairData:
        """Load the data onto the job's device."""
        return self.run.dataset.load(self.site.data_root, torch.device(self.device))

    def build(self, data: Data | PairData | None = None) -> Task:
        """Build the task on the job's device, on ``data`` where that is loaded already.

        Raises:
            InputError: the device does not support the precision of the run or of a protocol.
        """
        run, device = self.run, torch.device(self.device)
        check_device(run.training.precision, device)
        for protocol in run.evaluation.protocols:
            check_protocol(protocol, device)
        terms = Terms(
            run.model,
            run.constraints,
            run.loss,
            run.setting,
            run.seed,
            run.training,
            run.evaluation,
            selection=self.quality,
            device=device,
            generator_constraints=run.generator_constraints,
            inception_weights=self.site.inception_weights,
        )
        return run.task.build(data or self.load(), terms)


def unfinished_jobs(sweep: Sweep, folder: SweepFolder, site: Site, provenance: dict[str, Any]) -> list[Job]:
    """Return the job of every run of the sweep that is not over, each on the first device of the site."""
    return [job for job in all_jobs(sweep, folder, site, provenance) if folder.run(job.run.id).status() not in OVER]


def all_jobs(sweep: Sweep, folder: SweepFolder, site: Site, provenance: dict[str, Any]) -> list[Job]:
    """Return the job of every run of the sweep, each on the first device of the site."""
    device = site.devices[0]
    kind = device_kind(device)
    return [Job(run, folder.path, site, device, provenance, kind) for run in sweep.runs]


def uncaptured_warning(job: Job, reason: str) -> str:
    """Return the line that says why a configuration trains without a CUDA graph."""
    return f"{job.run.configuration}: not captured as a CUDA graph (slower): {reason}"
