"""Measure what a sweep of 10,000 runs costs besides its training: a dry run, and claiming the runs. See ``--help``.

A dry run is measured in CPU seconds of the whole process, with imports and the steps that it times. Claiming is
measured in CPU time of a process that joined: others hold claims, half of the runs are made by them meanwhile, and
every run that is left is claimed, ended by an empty result, and given up. Writing that result is not counted.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from result_files import write_result
from results_folder import used

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import unfinished_jobs
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.joining.shared_folder import SharedFolder, shared_folder
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.store import SweepFolder

SWEEP = """\
name: large
task: generation
datasets: [eight_gaussians]
models: [{{mlp: {{width: 4, depth: 1}}}}]
constraints: [none, weight_clipping, gradient_penalty, spectral_regularization, spectral_normalization]
seeds: {seeds}
training: {{steps: 100}}
"""
CONSTRAINTS = 5
CALLS = 3
ALLOWED_DRY_RUN, ALLOWED_CLAIM = 10.0, 20.0
"""The project's goals: CPU seconds of a dry run, and milliseconds of CPU time to claim a run."""
HEADINGS = ("what", "runs", "CPU time", "allowed")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a dry run and claims of a large sweep.")
    parser.add_argument("--runs", type=int, default=10_000, help=f"runs of the plan, a multiple of {CONSTRAINTS}")
    parser.add_argument("--others", type=int, default=19, help="other processes that joined, each with a claim")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(SWEEP.format(seeds=list(range(options.runs // CONSTRAINTS))), "utf-8")
        out = Path(folder) / "large"
        calls = [used("sweep", file, "--dry-run", "--out", out) for _ in range(CALLS)]
        dry_run = median(call.seconds for call in calls)
        claims = claimed(file, out, options.others)
    rows = [
        ("a dry run, median of three", f"{options.runs:,}", f"{dry_run:.2f} s", f"{ALLOWED_DRY_RUN:g} s"),
        ("to join", f"{options.runs:,}", f"{claims['join_seconds']:.2f} s", "-"),
        ("to claim a run and give it up, mean", *_row(claims, "mean_ms")),
        ("the same, the most of one run", *_row(claims, "most_ms")),
    ]
    result = {
        "workload": {"runs": options.runs, "others": options.others},
        "dry_run_seconds": dry_run,
        "claiming": claims,
        "provenance": provenance(["cpu"], 1, {}),
    }
    title = f"# A sweep of {options.runs:,} runs\n\n{options.others} other processes hold a claim each."
    write_result(options.out, "large_sweep", result, title, [HEADINGS, *rows], table="large_sweep.md")
    print(options.out / "large_sweep.md")


def _row(claims: dict[str, Any], key: str) -> tuple[str, str, str]:
    allowed = f"{ALLOWED_CLAIM:g} ms" if key == "mean_ms" else "-"
    return f"{claims['claimed']:,}", f"{claims[key]:.3f} ms", allowed


def claimed(file: Path, out: Path, others: int) -> dict[str, Any]:
    """Claim the runs of a sweep one after the other, and return the CPU time of it."""
    site = Site(("cpu",), joins=True)
    plan = load_sweep(file, out=out)
    with ExitStack() as stack:
        waiting = unfinished_jobs(plan, SweepFolder(out), site, {})

        def join() -> SharedFolder:
            return stack.enter_context(shared_folder(plan, force=False, lease=60.0, say=print))

        for shared in [join() for _ in range(others)]:
            if shared.jobs(waiting).take() is None:
                raise AssertionError("nothing is left to claim")
        start = time.process_time()
        own = join()
        own.define(plan, {"device": "cpu"})
        queue = own.jobs(unfinished_jobs(plan, own.folder, site, {}))
        joined = time.process_time() - start
        for run in plan.runs[::2]:
            _end(own.folder.run(run.id).path)
        seconds = []
        while True:
            start = time.process_time()
            job = queue.take()
            if job is None:
                break
            seconds.append(time.process_time() - start)
            _end(own.folder.run(job.run.id).path)
            start = time.process_time()
            queue.over(job)
            seconds[-1] += time.process_time() - start
    return {
        "join_seconds": joined,
        "claimed": len(seconds),
        "mean_ms": 1e3 * sum(seconds) / len(seconds),
        "most_ms": 1e3 * max(seconds),
    }


def _end(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text("{}", "utf-8")


if __name__ == "__main__":
    main()
