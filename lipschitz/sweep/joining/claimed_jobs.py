"""The queue of a process that joined a sweep: jobs whose runs nobody has claimed, claimed one by one."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from lipschitz.sweep.attempt import clear_attempts
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.job_queue import JobQueue
from lipschitz.sweep.joining.claims import Claim, Claims

LOOK_SECONDS = 0.5
"""Time between two looks at runs that others have claimed."""
LIVED_SECONDS = 2.0
"""For how long it counts that those who have claimed them were seen to live."""


class ClaimedJobs(JobQueue):
    """Hands out jobs whose runs this process has claimed, each with an attempt of its own.

    Once all runs that are left are claimed by others that are seen to live, there are no more. What a process that is
    lost has claimed is taken over. A run that fails while this process takes part is not tried again by it.

    Args:
        jobs: of the runs that are not over, in the order of the plan.
        claims: of this process.
        token: of this process. Processes begin at different places of the plan.
    """

    def __init__(self, jobs: Sequence[Job], claims: Claims, token: str) -> None:
        super().__init__(jobs)
        self._claims, self._token, self._attempts = claims, token, count()
        self._errors = {job.run.id: _signature(job.folder.error) for job in jobs}
        self._returned: deque[Job] = deque()
        self._lived_at = -LIVED_SECONDS
        self._jobs.rotate(-int(int(token, 16) % max(1, len(jobs))))

    def __bool__(self) -> bool:
        are_others_living = time.monotonic() - self._lived_at < LIVED_SECONDS
        return bool(self._returned) or (bool(self._jobs) and not are_others_living)

    def __len__(self) -> int:
        return len(self._returned) + len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        """Iterate over the jobs, each of which is over when the next is asked for."""
        while self:
            job = self.take()
            if job is None:
                time.sleep(LOOK_SECONDS if self else 0)
            else:
                yield job
                self.over(job)

    @property
    def patience(self) -> float:
        """How long to wait in seconds before `take` may find a job again."""
        return LOOK_SECONDS

    def first(self) -> Job:
        """Return a job that may be the next."""
        return (self._returned or self._jobs)[0]

    def give_back(self, jobs: Sequence[Job]) -> None:
        """Put jobs back, the next to be taken; their runs stay claimed."""
        self._returned.extendleft(reversed(jobs))

    def take(self) -> Job | None:
        """Claim a run that nobody has claimed, and return its job; None where there is none at the moment.

        Raises:
            ShutOut: this process was taken for lost, and a sweep by itself has begun.
        """
        self._claims.come_back()
        claims = self._claims.read()
        while self._returned:
            job = self._returned.popleft()
            if self._claims.is_own(claims.get(job.run.id)):
                return self._attempted(job)
            # This process was taken for lost.
            self._jobs.append(job)
        are_living = True
        for _ in range(len(self._jobs)):
            job = self._jobs.popleft()
            claim = claims.get(job.run.id)
            if self._is_over(job, claim):
                self.made_elsewhere(job)
                continue
            if holder := self._claims.holder(claim):
                are_living = are_living and self._claims.lives(holder)
            elif self._claims.take(job.run.id, claim):
                if self._is_over(job, None):
                    self._claims.drop(job.run.id)
                    self.made_elsewhere(job)
                    continue
                return self._attempted(job)
            else:
                are_living = False
            self._jobs.append(job)
        if are_living:
            self._lived_at = time.monotonic()
        return None

    def over(self, job: Job) -> None:
        """Give up the claim on a run that is over. That on one that failed is kept, so that it does not fail again."""
        if job.folder.is_over():
            self._claims.drop(job.run.id)

    def left(self) -> list[Job]:
        """Return the jobs that are left to others."""
        return [*self._returned, *self._jobs]

    def _is_over(self, job: Job, claim: Claim | None) -> bool:
        folder = job.folder.run
        if folder.is_over():
            # Who has made it may still write what observers have to say at the end.
            if not self._claims.holder(claim):
                clear_attempts(folder)
            return True
        return _signature(folder.error) not in (None, self._errors[job.run.id])

    def _attempted(self, job: Job) -> Job:
        return replace(job, attempt=f"attempt-{self._token}-{next(self._attempts)}")


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what differs between two files of one name; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
