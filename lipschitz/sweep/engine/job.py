"""A run to be made, and where: what is given to a worker."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.store import RunFolder, SweepFolder
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.precision import check_device
from lipschitz.tasks.terms import Terms
from lipschitz.training.task import Task


@dataclass(frozen=True)
class Job:
    """A run to be made, and where."""

    run: Run
    sweep: Path
    data_root: Path | None
    device: str
    provenance: dict[str, Any]
    timed_on: str = ""
    """Kind of device whose timings count: that of the sweep's first slot, whichever slot the job is given."""
    inception_weights: Path | None = None
    """File of the Inception network's weights; that in the cache where None."""
    pack: int = 1
    """How many runs like this one a worker holds at once; one has a process of its own."""
    captures: bool = True
    """Whether iterations are captured as CUDA graphs, where the device has them."""

    @property
    def folder(self) -> RunFolder:
        """The folder of the run's results."""
        return SweepFolder(self.sweep).run(self.run.id)

    @property
    def timing(self) -> dict[str, Any] | None:
        """What the timing pass measured of the run's configuration, or None."""
        return SweepFolder(self.sweep).timing(self.run.configuration, self.timed_on)

    @property
    def steps(self) -> int:
        """How many iterations the run has: by its budget, or, of seconds, as frozen when it began.

        Zero where there is nothing that was timed, by which seconds would become steps.

        Raises:
            InputError: the run has begun, and how many steps it was given cannot be read.
        """
        if self.run.training.steps is not None:
            return self.run.training.steps
        folder = self.folder
        try:
            return int(folder.definition()["steps"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Other steps than it began with would make it another run than an undisturbed one.
            if folder.checkpoint.exists() or folder.previous_checkpoint.exists():
                raise InputError(
                    f"{folder.path / 'run.json'}: cannot be read ({type(error).__name__}), and it holds the steps at "
                    "which the checkpoint beside it ends; put it back, or remove the run's folder to begin anew"
                ) from None
        timing = self.timing
        return self.run.training.steps_at(iteration_ms(timing) if timing else None)

    def seeded(self, seed: int) -> "Job":
        """Return the same with another seed."""
        return replace(self, run=replace(self.run, seed=seed))

    def load(self) -> Data | PairData:
        """Load the data onto the job's device."""
        return self.run.dataset.load(self.data_root, torch.device(self.device))

    def build(self, data: Data | PairData | None = None) -> Task:
        """Build the task on the job's device, on ``data`` where they are there already.

        Raises:
            InputError: the device does not compute in the run's precision.
        """
        run, device = self.run, torch.device(self.device)
        check_device(run.training.precision, device)
        terms = Terms(
            run.model,
            run.constraints,
            run.loss,
            run.setting,
            run.seed,
            run.training,
            run.evaluation,
            selection=run.evaluation.select or run.task.judged_by(run.dataset, run.evaluation)[0],
            device=device,
            generator_constraints=run.generator_constraints,
            inception_weights=self.inception_weights,
        )
        return run.task.build(data or self.load(), terms)
