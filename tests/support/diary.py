"""An observer of an engine that records every call as a line of text."""

from lipschitz.sweep.engine.job import Job


class Diary:
    """One line for each call."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, job: Job) -> None:
        self.lines.append(f"started {job.run.seed} on {job.device}")

    def stepped(self, job: Job, step: int) -> None:
        self.lines.append(f"step {step} of {job.run.seed}")

    def warned(self, line: str) -> None:
        self.lines.append(f"warned {line}")

    def returned(self, job: Job) -> None:
        self.lines.append(f"returned {job.run.seed}")

    def ended(self, job: Job) -> None:
        self.lines.append(f"ended {job.run.seed}")
