"""The command line: the subcommands and their options. What a subcommand does is in the module of its name."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lipschitz import __version__
from lipschitz.cli_networks import networks
from lipschitz.commands import sweep_options as options
from lipschitz.commands.completion import complete_names
from lipschitz.commands.progress_lines import starting_line
from lipschitz.errors import InputError
from lipschitz.exit_codes import FAILED, one_line_errors
from lipschitz.signals import Stopped, stopping_at_once, stopping_cleanly
from lipschitz.terminal import console, replace_what_cannot_be_shown


class Commands(TyperGroup):
    """The subcommands. One that is stopped by a signal says so in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except Stopped as stop:
            print(f"stopped by {stop}", file=sys.stderr)
            raise typer.Exit(stop.code) from None


app = typer.Typer(
    cls=Commands,
    help="A measured comparison of Lipschitz constraints: one backbone, one change at a time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Folder = Annotated[Path, typer.Argument(help="Folder of a sweep's results.", show_default=False)]

# A subcommand imports its module when it runs: most need torch or pandas, which take seconds to import.


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"lipschitz {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A measured comparison of Lipschitz constraints: one backbone, one change at a time."""


@app.command()
def sweep(
    file: options.File,
    out: options.Out = None,
    data_root: options.DataRoot = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    pack: options.Pack = None,
    inception_weights: options.InceptionWeights = None,
    checkpoint_seconds: options.CheckpointSeconds = None,
    retime: options.Retime = False,
    keep_checkpoints: options.KeepCheckpoints = False,
    timeout: options.Timeout = 3600,
    engine: options.Engine = "local",
    observer: options.Observer = None,
    limit_steps: options.LimitSteps = None,
    only: options.Only = None,
    override: options.Override = None,
    list_ids: options.ListIds = False,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    join: options.Join = False,
    lease: options.Lease = 60,
    slurm: options.Slurm = None,
    ray: options.Ray = None,
    jobs: options.Jobs = 1,
    then_report: options.ThenReport = True,
) -> None:
    """Run the unfinished runs of a sweep file, then write tables and plots."""
    from lipschitz.commands import sweep as command
    from lipschitz.extensions.entry import default_config
    from lipschitz.sweep.engine.site import Site, worker_devices
    from lipschitz.training.observers import OBSERVERS

    site = Site(
        devices=worker_devices(device, workers),
        # Where others use the machine, too, nothing can be measured of how many workers it has room for.
        chooses_workers=workers is None and not join,
        data_root=data_root,
        inception_weights=inception_weights,
        pack=pack,
        checkpoint_seconds=checkpoint_seconds,
        keep_checkpoints=keep_checkpoints,
        engine=engine,
        observers=tuple(default_config(OBSERVERS, name, "--observer") for name in observer or []),
        timeout=timeout,
        joins=join,
        lease=lease,
    )
    if join and retime:
        raise InputError("--retime: times are measured while no other process runs; expected it without --join")
    request = command.Request(file, site, out, limit_steps, tuple(only or ()), tuple(override or ()))
    if list_ids or dry_run:
        from lipschitz.commands import dry_run as dry

        dry.show_ids(request) if list_ids else dry.show_plan(request, console)
        return

    from lipschitz.commands.stoppable_sweep import Started, run

    run(request, Started(force, retime, join, then_report, slurm, ray, jobs), console)


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folder of a sweep's results; several with --out.", show_default=False
        ),
    ],
    all_figures: Annotated[bool, typer.Option("--all-figures", help="Draw every figure, however many.")] = False,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Results of the same critics with other budgets, to compare ranks; its summary.csv is enough.",
            show_default=False,
        ),
    ] = None,
    reach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Report the steps and seconds until a metric reaches a value, such as w1=0.3; may be repeated.",
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
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Write figures for a paper, too: PDFs of 3.25 and 6.75 inches, in DIR/paper."),
    ] = False,
    style: Annotated[
        str | None,
        typer.Option(
            metavar="STYLE",
            help="Your matplotlib style for --paper: a file, a name, or matplotlibrc for your own settings.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC,...",
            help="Columns of a LaTeX table for --paper, such as w1,lipschitz_upper: names in summary.csv.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="SITE",
            help="Write a page over several reported folders here: the same methods side by side.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the tables, plots and page of a sweep's results, or a page over several folders of results."""
    from lipschitz.commands.report import one_folder, write_report, write_site_page

    with stopping_cleanly():
        if out is not None:
            own: dict[str, object] = {
                "--all-figures": all_figures,
                "--beside": beside,
                "--reach": reach,
                "--plot": plot,
                "--paper": paper,
            }
            own |= {"--style": style, "--metrics": metrics}
            write_site_page(folders, out, console, given=[name for name, value in own.items() if value])
            return
        write_report(
            one_folder(folders),
            console,
            all_figures=all_figures,
            beside=beside,
            reach=reach or [],
            plot_files=plot or [],
            for_paper=paper,
            style=style,
            metrics=metrics,
        )


@app.command()
def claims(
    file: Annotated[Path, typer.Argument(help="File of claims (YAML).")] = Path("benchmarks/claims/claims.yaml"),
    root: Annotated[Path, typer.Option(help="Folder below which the results folders are.")] = Path(),
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("results/claims"),
) -> None:
    """Decide claims of the field from results: true, false, depends, undecided, or not run."""
    from lipschitz.commands.claims import write_claims

    write_claims(file, root, out, console)


@app.command()
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Print it again and again until no run is running.")] = False,
    disk: Annotated[bool, typer.Option("--disk", help="Print what the sweep takes on the disk, too.")] = False,
    hangs: options.Hangs = 600,
) -> None:
    """Print the status of each run: finished, running, failed, diverged, damaged or waiting."""
    from lipschitz.commands.status import show_status, watch_status

    if watch:
        watch_status(folder, console, hangs=hangs)
    else:
        show_status(folder, disk=disk, hangs=hangs)


@app.command()
def verify(folder: Folder) -> None:
    """Check every file of a sweep's results against its checksum, and that it is of its run."""
    from lipschitz.commands.verify import verify as check

    if not check(folder):
        raise typer.Exit(FAILED)


@app.command()
def restore(folder: Folder) -> None:
    """Make the runs of a report again from its files, without their networks, so that a sweep goes on from there."""
    from lipschitz.commands.restore import restore_runs

    with stopping_cleanly():
        restore_runs(folder, console)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="Data set to download; without it, all are listed.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data sets.", show_default="data")] = None,
) -> None:
    """Download a published data set, resuming an earlier download, or list which are there."""
    from lipschitz.commands import data as command

    if name is None:
        command.show_data(data_root, console)
    else:
        with stopping_cleanly():
            command.download_data(name, data_root, console)


@app.command("list")
def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="augmentations, constraints, datasets, engines, losses, metrics, models, observers, optimisers, "
            "protocols, settings or tasks; or a name, such as spectral_normalization.",
            show_default="all",
            autocompletion=complete_names,
        ),
    ] = None,
) -> None:
    """List what a sweep can be made of: name, one line, source; or show one of them with its fields."""
    from lipschitz.commands.list import show_lists

    show_lists(kind, console)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="terminal")] = None,
) -> None:
    """Write the JSON Schema of sweep files, by which editors complete and check them."""
    from lipschitz.commands.schema import write_schema

    write_schema(out)


app.add_typer(networks)


def main() -> None:
    """Run the command line; exit codes are 0, `FAILED`, `WRONG_INPUT`, and 128 + the number of a signal."""
    replace_what_cannot_be_shown()
    with stopping_at_once(), one_line_errors(), starting_line(" ".join(["lipschitz", *sys.argv[1:2]])):
        # Without arguments typer prints the help, as an error.
        code = app(standalone_mode=len(sys.argv) == 1)
    raise SystemExit(code or 0)
