"""The one face: sweep, report, status, measure, data, list, schema. A command imports what it needs when it runs."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lipschitz.errors import InputError

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="A measured comparison of Lipschitz constraints: one backbone, one change at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# A pipe has no width: lines are left whole there, and tables get room.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
Folder = Annotated[Path, typer.Argument(help="Folder of a sweep's results.", show_default=False)]


class Kind(StrEnum):
    """What the project can list."""

    constraints = "constraints"
    datasets = "datasets"
    models = "models"
    protocols = "protocols"
    losses = "losses"
    metrics = "metrics"


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="Sweep file (YAML).", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for the results.", show_default="results/<name>")] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of files: torchvision's data sets as it keeps them, funnels/dim_D/width_N.pt.",
            show_default="data",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or some of its devices: cuda:0,2.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that make runs.", show_default="one a CPU core or GPU")
    ] = None,
    pack: Annotated[
        int | None,
        # torch has 32 streams on a device, and a graph must not share one with another.
        typer.Option(
            min=1, max=31, help="Runs that take turns in one process.", show_default="1 on a CPU, measured on a GPU"
        ),
    ] = None,
    inception_weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the FID's Inception network, where protocols need them.", show_default="cache"),
    ] = None,
    limit_steps: Annotated[
        int | None, typer.Option(min=1, help="Train every run this many steps; results go to <name>-limit-N.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Go on in a folder made by another definition.")] = False,
    then_report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write tables and plots at the end.")
    ] = True,
) -> None:
    """Run what a sweep file says and is not finished yet, then write tables and plots."""
    from lipschitz.commands import sweep as sweeping
    from lipschitz.sweep.engine.devices import slots

    request = sweeping.Request(file, out, data_root, slots(device, workers), inception_weights, limit_steps, pack)
    if dry_run:
        sweeping.show_what_would_run(request, console)
        return
    try:
        plan, failed = sweeping.run_sweep(request, console, force=force)
    except KeyboardInterrupt:
        console.print("\nstopped: every run keeps its checkpoint. The same command goes on from there.", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    if then_report and len(failed) < len(plan.runs):
        _write_report(plan.folder)
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def report(
    folder: Folder,
    all_figures: Annotated[bool, typer.Option("--all-figures", help="Draw every figure, however many.")] = False,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Results of the same critics on other budgets, to rank them in both; its summary.csv is enough.",
            show_default=False,
        ),
    ] = None,
    reach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="A quality to say the steps and seconds to, such as w1=0.3; may be given again.",
            show_default="what about half of the methods reach",
        ),
    ] = None,
    plot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py[:NAME]",
            help="A file with plots of your own, or one of them; its code is run. May be given again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the tables, plots and page of a sweep's results again."""
    _write_report(folder, all_figures, beside, reach or [], plot or [])


@app.command()
def status(folder: Folder) -> None:
    """Say of each run whether it is finished, running, failed, diverged or waiting."""
    from collections import Counter

    from lipschitz.sweep.store import SweepFolder

    sweep_folder = SweepFolder.open(folder)
    counts: Counter[str] = Counter()
    for run_id in sweep_folder.run_ids():
        run = sweep_folder.run(run_id)
        state = run.status()
        counts[state] += 1
        print(f"{state:9}{run_id}{f'  ({run.error})' if state == 'failed' else ''}")
    print(f"{sum(counts.values())} runs: " + ", ".join(f"{n} {state}" for state, n in counts.most_common()))


@app.command()
def measure(
    module: Annotated[str, typer.Option(help="What makes the network: package.module:factory.", show_default=False)],
    sizes: Annotated[str, typer.Option("--input", help="Shape of one sample, such as 3,32,32.", show_default=False)],
    weights: Annotated[Path | None, typer.Option(help="State dict to load, written by torch.save.")] = None,
    seed: Annotated[int, typer.Option(help="Of the factory's random weights and of the search.")] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON alone; null stands for infinity, and stderr says why.")
    ] = False,
) -> None:
    """Measure σ of every layer of a network of yours, and bracket its Lipschitz constant."""
    from lipschitz.commands import measure as measuring

    measurement = measuring.measured(module, sizes, weights, seed)
    if json:
        print(measuring.as_json(measurement))
        print(*measurement.reasons, sep="\n", end="\n" if measurement.reasons else "", file=sys.stderr)
    else:
        measuring.show(measurement, console)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="What to fetch; without it, what there is is listed.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder to keep it in.", show_default="data")] = None,
) -> None:
    """Fetch a published data set, going on where an earlier try ended, or list which are there."""
    from lipschitz.commands import data as fetching

    if name is None:
        fetching.show(data_root, console)
    else:
        fetching.fetch_and_show(name, data_root, console)


@app.command("list")
def list_(kind: Annotated[Kind | None, typer.Argument(help="What to list; everything by default.")] = None) -> None:
    """List constraints, datasets, models, protocols, losses and metrics: name, one line, source."""
    from rich.table import Table

    from lipschitz.commands.list import LISTINGS

    for each in [kind] if kind else list(Kind):
        table = Table(title=str(each), title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in LISTINGS[each].columns:
            table.add_column(column, overflow="fold", no_wrap=column == "name")
        for row in LISTINGS[each].rows():
            table.add_row(*row)
        console.print(table, "")


@app.command()
def schema(out: Annotated[Path | None, typer.Option(help="File to write; the terminal by default.")] = None) -> None:
    """Write the JSON Schema of sweep files, by which editors complete and check them."""
    import json

    from lipschitz.files import write_text
    from lipschitz.sweep.definition.axes import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)


def _write_report(
    path: Path,
    all_figures: bool = False,
    beside: Path | None = None,
    reach: Sequence[str] = (),
    plot_files: Sequence[str] = (),
) -> None:
    from lipschitz.report.plots.gallery import PANELS
    from lipschitz.report.write import report as write_report

    limit = None if all_figures else PANELS
    for line in write_report(path, limit_panels=limit, beside=beside, reach=reach, plot_files=plot_files):
        console.print(f"warning: {line}", style="yellow", soft_wrap=True)
    console.print(f"report: {path / 'index.html'}", soft_wrap=True)


def main() -> None:
    """Run the command line: exit 0 where all is finished, 1 where a run failed, 2 where the input was wrong."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
