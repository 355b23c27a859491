"""What a sweep prints before it trains: its plan, how it grew, and how long the rest takes."""

from collections.abc import Sequence

from rich.console import Console

from lipschitz.errors import printable
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.display import warn
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.growth import growth
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.estimate import Estimate
from lipschitz.sweep.timing.prediction import H200, predict
from lipschitz.tasks.averaging import average_warnings


def print_plan(plan: Sweep, console: Console) -> None:
    """Print how many runs there are, their budget and folder, and the settings that were chosen."""
    configurations = len({run.configuration for run in plan.runs})
    steps = sum(run.training.steps or 0 for run in plan.runs)
    seconds = sum(run.training.seconds or 0 for run in plan.runs)
    budget = " and ".join([f"{steps:,} steps"] * bool(steps) + [f"{seconds:,.0f} seconds"] * bool(seconds))
    runs = f"{_counted(len(plan.runs), 'run')} of {_counted(configurations, 'configuration')}"
    console.print(printable(f"{plan.name}: {runs}, {budget} -> {plan.folder}"))
    for choice in plan.choices:
        console.print(printable(choice.described()), soft_wrap=True)
    if plan.waiting:
        console.print(f"and {_counted(plan.waiting, 'run')} whose settings are chosen once these are finished")
    for line in average_warnings(run.training.averaged_steps(run.training.steps or 0) for run in plan.runs):
        warn(console, line)


def print_growth(plan: Sweep, folder: SweepFolder, console: Console) -> None:
    """Print how the plan differs from the one that its folder was made by, if it does."""
    found = growth(folder, plan)
    for line in found.lines(folder) if found else []:
        console.print(printable(line), soft_wrap=True)


def print_estimate(found: Estimate | None, runs: int, site: Site, console: Console) -> None:
    """Print how long ``runs`` unfinished runs take; None where that was not measured."""
    time = "time not measured"
    if found is not None:
        time = f"about {_duration(found.training)} of training"
        if found.evaluation is not None:
            time += f" and {_duration(found.evaluation)} of evaluation"
        if gpus := {device for device in site.devices if device.startswith("cuda")}:
            time += f", {len(gpus) * found.total / 3600:.1f} GPU hours"
    if found is None or found.evaluation is None:
        time += ", without evaluations"
    console.print(f"{_counted(runs, 'unfinished run')} on {_counted(site.workers, 'worker')}: {time}", soft_wrap=True)


def print_prediction(runs: Sequence[Run], console: Console) -> None:
    """Print hours of training and of evaluation on a GPU, and what they rest on; nothing if no run can be predicted."""
    found = predict(runs)
    if not (predicted := len(runs) - found.unpredicted):
        return
    console.print(
        f"predicted, not measured: {_counted(predicted, 'run')} on {H200.name}, one after the other: about "
        f"{_duration(found.training)} of training and {_duration(found.evaluation)} of evaluation; counted operations "
        f"at assumed {H200.tf32 / 1e12:.0f} (tf32) and {H200.float32 / 1e12:.0f} (float32) TFLOP/s, "
        f"{1e6 * H200.kernel:.1f} µs a kernel in a CUDA graph, "
        f"{H200.measurement:.0f} s a measurement of a discriminator",
        soft_wrap=True,
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 600 else f"{minutes / 60:.0f} h"
