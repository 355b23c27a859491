"""Choose how many worker processes share each GPU: the fewest that nearly reach the shortest predicted time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lipschitz.cpu import cpu_cores
from lipschitz.sweep.engine.base import Engine
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.provenance import devices_and_workers
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate, estimate
from lipschitz.sweep.timing.shared_device import EVALUATION, Shared, Workers, kind_of, measure_shared
from lipschitz.sweep.timing.throughput import NEARLY_BEST

WORKERS = (1, 2, 4, 8)
"""Numbers of workers on a GPU that are measured."""


class Choice(NamedTuple):
    """How many workers share each GPU."""

    jobs: list[Job]
    """All jobs, on a site with these workers."""
    estimate: Estimate | None
    """Their time on that site, where all were timed."""
    why: str
    """One line: the number, the predicted time by number of workers, and why no more were tried."""


def measure_workers(
    jobs: Sequence[Job], engine: Engine, measured: Callable[[], object] = lambda: None
) -> dict[str, dict[int, Workers]]:
    """Measure growing numbers of workers on the first GPU, until more gain little, fail, or have too few cores or runs.

    One configuration of each kind is measured, that which takes longest; see `kind_of`. What was measured before is
    read from its timing, and the rest is written there.

    Args:
        jobs: with the number of runs that share a worker, see `lipschitz.sweep.timing.estimate.with_packs`.
        measured: called after each measurement.
    """
    found: dict[str, dict[int, Workers]] = {}
    timed = _timed(jobs)
    samples = {} if _most(jobs) < 2 else _longest_of_each_kind(timed)
    for kind in samples:
        found[kind] = _measured_before([job for job in timed if kind_of(job) == kind])
    for workers in WORKERS:
        if not samples or workers > _most(jobs):
            break
        for kind, job in list(samples.items()):
            if workers in found[kind]:
                continue
            runs = min(job.pack, -(-_runs_on_a_device(jobs) // workers))
            shared = measure_shared(engine, job, workers, runs)
            measured()
            if shared is None and workers > 1:
                return found
            if shared is None:
                del samples[kind], found[kind]
                continue
            found[kind][workers] = shared
            entries = [each._asdict() for each in found[kind].values()]
            timing = {**(job.timing or {}), "workers": entries}
            SweepFolder(job.sweep).write_timing(job.run.configuration, timing, joins=job.site.joins, adds=True)
        if workers > 1 and _gains_little(timed, found, workers):
            break
    return found


def choose_workers(jobs: Sequence[Job], timings: Mapping[str, dict[str, Any]], shared: Shared) -> Choice | None:
    """Return the fewest workers a GPU whose predicted time is nearly the shortest; None where nothing was measured.

    Args:
        jobs: see `measure_workers`.
        timings: see `lipschitz.sweep.timing.estimate.estimate`.
        shared: what `measure_workers` returned.
    """
    estimates = {workers: _predicted(jobs, shared, workers) for workers in _tried(shared)}
    if not estimates:
        return None
    shortest = min(each.total for each in estimates.values())
    workers = min(number for number, each in estimates.items() if each.total <= shortest / NEARLY_BEST)
    site = _with_workers(jobs[0].site, workers)
    placed = [replace(job, site=site) for job in jobs]
    chosen = [_with_memory(job, shared, workers) for job in placed]
    why = _reason(chosen, estimates, workers)
    facts = {"device": devices_and_workers(site.devices, site.workers), "workers": why}
    chosen = [replace(job, provenance={**job.provenance, **facts}) for job in chosen]
    # Before memory was known each configuration had the number of runs by whose throughput its time is known.
    return Choice(chosen, estimate(placed, timings, shared), why)


def _with_memory(job: Job, shared: Shared, workers: int) -> Job:
    """Return ``job`` with as many runs to share its worker as there was memory for beside the other workers."""
    found = shared.get(kind_of(job), {}).get(workers)
    return job if found is None else replace(job, pack=max(1, int(job.pack * found.share)))


def _with_workers(site: Site, workers: int) -> Site:
    return replace(site, devices=tuple(dict.fromkeys(site.devices)) * workers)


def _predicted(jobs: Sequence[Job], shared: Shared, workers: int) -> Estimate:
    """Return the time, with some workers on each GPU, of those runs whose kind was measured."""
    site = _with_workers(jobs[0].site, workers)
    compared = [replace(job, site=site) for job in _timed(jobs) if kind_of(job) in shared]
    found = estimate(compared, {}, shared)
    assert found is not None
    return found


def _timed(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if EVALUATION in (job.timing or {})]


def _longest_of_each_kind(jobs: Sequence[Job]) -> dict[str, Job]:
    """Return by kind the first job of the configuration whose runs take longest, all together."""
    configurations: dict[str, list[Job]] = {}
    for job in jobs:
        configurations.setdefault(job.run.configuration, []).append(job)
    longest: dict[str, list[Job]] = {}
    for each in configurations.values():
        kind = kind_of(each[0])
        if kind not in longest or _seconds_alone(each) > _seconds_alone(longest[kind]):
            longest[kind] = each
    return {kind: each[0] for kind, each in longest.items()}


def _seconds_alone(jobs: Sequence[Job]) -> float:
    found = estimate(jobs, {})
    return found.total if found else 0.0


def _measured_before(jobs: Sequence[Job]) -> dict[int, Workers]:
    for job in jobs:
        if entries := (job.timing or {}).get("workers"):
            return {each["workers"]: Workers(**each) for each in entries}
    return {}


def _runs_on_a_device(jobs: Sequence[Job]) -> int:
    return -(-len(jobs) // len(set(jobs[0].site.devices)))


def _most(jobs: Sequence[Job]) -> int:
    """Return how many workers a GPU may have: no more than it has runs, and than there are CPU cores for."""
    return min(_runs_on_a_device(jobs), cpu_cores() // len(set(jobs[0].site.devices)))


def _tried(shared: Shared) -> list[int]:
    """Return the numbers of workers that were measured for every kind of run."""
    return [workers for workers in WORKERS if shared and all(workers in found for found in shared.values())]


def _gains_little(jobs: Sequence[Job], shared: Shared, workers: int) -> bool:
    before, now = (_predicted(jobs, shared, number).total for number in (workers // 2, workers))
    return now > NEARLY_BEST * before


def _reason(jobs: Sequence[Job], estimates: dict[int, Estimate], workers: int) -> str:
    times = ", ".join(f"{each.total / 60:.1f} min with {number}" for number, each in estimates.items())
    most = max(job.pack for job in jobs)
    pair = f"{workers} {'worker' if workers == 1 else 'workers'} on each GPU, up to {most} runs in each"
    chosen = f"{pair}, by measurement: predicted {times}"
    one = estimates[1]
    evaluation = f"evaluations take {(one.evaluation or 0.0) / one.total:.0%} of the time of one"
    return "; ".join([chosen, evaluation, *_why_no_more(jobs, estimates)])


def _why_no_more(jobs: Sequence[Job], estimates: dict[int, Estimate]) -> list[str]:
    more = next((number for number in WORKERS if number not in estimates), None)
    totals = [each.total for each in estimates.values()]
    if more is None or (len(totals) > 1 and totals[-1] > NEARLY_BEST * totals[-2]):
        return []
    if more > cpu_cores() // len(set(jobs[0].site.devices)):
        return [f"{more} were not tried: {cpu_cores()} CPU cores"]
    if more > _runs_on_a_device(jobs):
        return [f"{more} were not tried: {len(jobs)} runs"]
    return [f"{more} lacked memory, or failed"]
