"""The jobs that wait for a worker, in order."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from lipschitz.sweep.engine.job import Job


class JobQueue(Sequence[Job]):
    """Jobs in order. A queue that others take from, too, is a subclass; an engine may just iterate over it, once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = deque(jobs)
        self.made_elsewhere: Callable[[Job], object] = lambda job: None
        """Called with each job whose run another process has made."""

    def __bool__(self) -> bool:
        """Say whether there may be another job."""
        return bool(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, index: int) -> Job:  # type: ignore[override]
        return self._jobs[index]

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs))

    @property
    def patience(self) -> float:
        """How long to wait in seconds before `take` may find a job where it found none."""
        return math.inf

    def first(self) -> Job:
        """Return the job that `take` will probably return."""
        return self._jobs[0]

    def take(self) -> Job | None:
        """Remove the next job and return it; None where there is none at the moment."""
        return self._jobs.popleft()

    def give_back(self, jobs: Sequence[Job]) -> None:
        """Put jobs back, the next to be taken."""
        self._jobs.extendleft(reversed(jobs))

    def over(self, job: Job) -> None:
        """Note that the run of a job that was taken is over, or has failed."""
