"""Time the training loop's own overhead: `Trainer.run` against a bare loop of `task.step`. See ``--help``.

Both make the same steps in one process of one thread. They take turns slice by slice, so that a drift of the machine's
speed affects both alike; a pair is a whole run of each. Evaluation returns constants. What is left is the overhead of
the loop: the check for finite values, records, checkpoints, the copy of the best networks and the result, written to
the file system of the results.
"""

import argparse
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count, cycle, islice, pairwise, takewhile
from pathlib import Path
from typing import Any

from paired_timing import Pair, interval, medians, show_progress, timed_pairs
from result_files import write_result

from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.input_checks import check_data
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.training.loop import SLICE, Trainer

ALLOWED = 1.03
"""Largest ratio to the bare loop that is the project's goal."""
HEADINGS = ("run", "steps", "ratio to a bare loop", "95 % interval", "allowed", "ms a step, bare", "pairs")


def main() -> None:
    options = _arguments()
    set_up_torch()
    sweep = load_sweep(options.sweep, options.limit_steps)
    origin = provenance(["cpu"], 1, check_data(sweep, options.data_root))
    result: dict[str, Any] = {"sweep": sweep.name, "provenance": origin, "runs": {}}
    options.out.mkdir(parents=True, exist_ok=True)
    for run in _one_for_each_workload(sweep.runs):
        result["runs"][run.configuration] = measure(run, options)
        write_result(options.out, "overhead", result, _title(sweep.name), [HEADINGS, *_rows(result["runs"])])
    print(options.out / "table.md")


def measure(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Compare the trainer with a bare loop on two equal tasks, which are trained further with each pair."""
    steps = run.training.steps
    bare, trained = (Job(run, options.out, Site(("cpu",), options.data_root), "cpu", {}).build() for _ in range(2))
    _measure_nothing(trained)
    ends = [*range(SLICE, steps, SLICE), steps]
    bare_slices = cycle(pairwise([0, *ends]))
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        trainer_slices = _train(trained, run, Path(folder))

        def loop() -> None:
            for step in range(*next(bare_slices)):
                bare.step(step / steps)

        slices = timed_pairs(loop, lambda: next(trainer_slices), (1 + options.pairs) * len(ends), warm_up=0)
        pairs = islice(_whole_runs(slices, len(ends)), 1, None)
        return {"steps": steps, "allowed": ALLOWED, **medians(show_progress(pairs, run.id, options.pairs))}


def _train(task: GANTraining, run: Run, folder: Path) -> Iterator[int]:
    """Train run after run and yield the step reached after each slice. The last slice includes the end of the run."""
    steps = run.training.steps
    for index in count():
        journal = RunFolder(folder / str(index))
        with journal.writing():
            trainer = Trainer(task, journal, steps=steps, every=run.evaluation.every).run()
            yield from takewhile(lambda step: step < steps, trainer)
            yield from deque(trainer, maxlen=1)


def _whole_runs(slices: Iterable[Pair], size: int) -> Iterator[Pair]:
    """Yield the seconds of whole runs, the sums over ``size`` slices."""
    rest = iter(slices)
    while batch := list(islice(rest, size)):
        yield Pair(*map(sum, zip(*batch, strict=True)))


def _measure_nothing(task: GANTraining) -> None:
    """Replace the task's measurements by constants of the same names. Each evaluation is the best so far."""
    values = task.evaluate("once")
    sign = 1 if task.selection.better == "higher" else -1
    rising = count()
    facts, arrays = task.facts(), task.arrays()
    constants = {
        "evaluate": lambda _: {**values, task.selection.metric: float(sign * next(rising))},
        "keep_for_next_evaluation": lambda: None,
        "facts": lambda: facts,
        "arrays": lambda: arrays,
    }
    for name, constant in constants.items():
        setattr(task, name, constant)


def _one_for_each_workload(runs: list[Run]) -> Iterator[Run]:
    """Yield the first run of each dataset and model. If the sweep lists `none` first, it is the cheapest constraint."""
    seen = set()
    for run in runs:
        workload = (run.dataset.label(), run.model.label())
        if workload not in seen:
            seen.add(workload)
            yield run


def _rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            str(row["steps"]),
            f"{row['ratio']['median']:.4f}",
            interval(row["ratio"], 4),
            f"{row['allowed']:.2f}",
            f"{row['ms_baseline']['median'] / row['steps']:.2f}",
            str(row["ratio"]["n"]),
        )
        for name, row in measured.items()
    ]


def _title(sweep: str) -> str:
    return (
        "# Overhead of the loop\n\n"
        f"Time of the trainer without evaluation on runs of the sweep {sweep}, relative to a bare loop of the same "
        "steps, on one thread. Median over pairs of whole runs, interleaved slice by slice, with the distribution-free "
        "95 % interval of the median."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the trainer against a bare loop of the same steps.")
    parser.add_argument("--sweep", type=Path, default=Path("benchmarks/quickstart.yaml"), help="sweep file")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets' files")
    parser.add_argument("--limit-steps", type=int, help="length of a run in steps")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of whole runs for each workload")
    parser.add_argument("--out", type=Path, default=Path("results/overhead"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
