"""Measure the seconds of an evaluation, and what several worker processes that share a GPU reach together."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch

from lipschitz.out_of_memory import lacks_memory
from lipschitz.sweep.engine.base import Engine
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.timing.one_round import LACKED_MEMORY
from lipschitz.sweep.timing.throughput import PackedRun, iterations_per_second, start_run
from lipschitz.training.clock import milliseconds, synchronize

EVALUATION, RATE = "evaluation_seconds", "iterations_per_second"


class Workers(NamedTuple):
    """What a number of workers reach that train at the same time, and then evaluate at the same time."""

    workers: int
    """On one device."""
    iterations_per_second: float
    """Of all runs of all workers."""
    evaluation_seconds: float
    """Until each of the workers has made an evaluation."""
    share: float
    """Share of the runs of each worker for which there was memory."""


Shared = Mapping[str, Mapping[int, Workers]]
"""By `kind_of` a run and number of workers."""


def kind_of(job: Job) -> str:
    """Return what runs have in common that are taken to become slower alike where several workers share a device."""
    run = job.run
    return json.dumps([run.task.label(), run.dataset.entry(), run.training.batch_size, job.captures])


def measure_evaluation(job: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    """Give the seconds of an evaluation of a network at its start to ``answer``; nothing if it fails.

    The evaluation is the second one: the first loads feature networks and the statistics of real images.
    """
    try:
        run = _runs(1, job, captures=False)[0]
        _evaluate(run)
        answer({EVALUATION: _evaluate(run)})
    except (Exception, SystemExit):
        # The runs report it.
        return


def measure_worker(runs: int, job: Job, answer: Callable[[dict[str, Any]], None], meet: Callable[[], None]) -> None:
    """Measure one of several workers: the iterations per second of ``runs`` at once, then the seconds of an evaluation.

    Each part begins when all workers have called ``meet``. Nothing is given to ``answer`` if it fails, but whether that
    was for lack of memory, as `LACKED_MEMORY`.
    """
    try:
        packed = _runs(runs, job, captures=job.captures)
        _evaluate(packed[0])
        meet()
        rate = iterations_per_second(packed, torch.device(job.device))
        meet()
        answer({RATE: rate, EVALUATION: _evaluate(packed[0])})
    except (Exception, SystemExit) as error:
        answer({LACKED_MEMORY: lacks_memory(error)})


def measure_shared(engine: Engine, job: Job, workers: int, runs: int) -> Workers | None:
    """Measure ``workers`` with up to ``runs`` each, with half as many where memory is lacking; None if that fails."""
    at_once = runs
    while True:
        answers = engine.call_together(partial(measure_worker, at_once), job, workers)
        if len(answers) == workers and all(EVALUATION in each for each in answers):
            slowest = max(each[EVALUATION] for each in answers)
            return Workers(workers, sum(each[RATE] for each in answers), slowest, at_once / runs)
        if at_once == 1 or job.site.pack or not any(each.get(LACKED_MEMORY) for each in answers):
            return None
        at_once //= 2


def _runs(number: int, job: Job, *, captures: bool) -> list[PackedRun]:
    device = torch.device(job.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    data, seeds = job.load(), count()
    synchronize(device)
    return [start_run(lambda: job.with_seed(next(seeds)).build(data), device, captures=captures) for _ in range(number)]


def _evaluate(run: PackedRun) -> float:
    """Return the seconds of an evaluation of ``run``, whose training state does not change."""
    task = run.iterations.task
    with torch.cuda.stream(run.stream):
        return milliseconds(lambda: task.evaluate("timing"), task.device) / 1e3
