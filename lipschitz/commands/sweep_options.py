"""The options of ``lipschitz sweep``: what each is called, takes and means."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="Sweep file (YAML).", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="Folder of the results.", show_default="results/<name>")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets that are files: torchvision's, in its layout, and funnels/dim_D/width_N.pt.",
        show_default="data",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or some GPUs: cuda:0,2.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Number of workers.", show_default="one per CPU core; the fastest on a GPU"),
]
Pack = Annotated[
    int | None,
    # torch has 32 streams on a device, and two CUDA graphs must not share one.
    typer.Option(min=1, max=31, help="Runs that share a worker.", show_default="1 on a CPU, the fastest on a GPU"),
]
InceptionWeights = Annotated[
    Path | None,
    typer.Option(help="Weights of the FID's Inception network, if protocols need them.", show_default="cache"),
]
CheckpointSeconds = Annotated[
    float | None,
    typer.Option(min=0, help="Longest time between two checkpoints of a run.", show_default="300"),
]
Retime = Annotated[
    bool,
    typer.Option("--retime", help="Measure the time of every step again, as on a device that was in use before."),
]
KeepCheckpoints = Annotated[
    bool,
    typer.Option("--keep-checkpoints", help="Keep the checkpoints of finished runs, besides networks.pt."),
]
Timeout = Annotated[
    float,
    typer.Option(
        min=60, help="Seconds without progress (steps or an evaluation) after which a run is ended, and failed."
    ),
]
Engine = Annotated[
    str,
    typer.Option(help="What runs the workers (`lipschitz list engines`), or path/to/file.py:ClassName."),
]
Observer = Annotated[
    list[str] | None,
    typer.Option(
        help="Observer of every run (`lipschitz list observers`), or path/to/file.py:ClassName; may be repeated.",
        show_default="none",
    ),
]
Join = Annotated[
    bool,
    typer.Option("--join", help="Share the sweep with every process that runs the same command, on any machine."),
]
Lease = Annotated[
    float,
    typer.Option(min=1, help="With --join: seconds without a sign of life until a process is taken for lost."),
]
Slurm = Annotated[
    str | None,
    typer.Option(
        metavar="KEY=VALUE,...",
        help="Submit --jobs processes that join, with these options of sbatch: partition=gpu,time=4:00:00,gpus=1.",
        show_default=False,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Run --jobs processes that join as tasks of a Ray cluster: auto, or host:port.",
        show_default=False,
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="With --slurm or --ray: number of processes.")]
Hangs = Annotated[float, typer.Option(min=1, help="Seconds without a step after which a run is said to hang.")]
LimitSteps = Annotated[
    int | None, typer.Option(min=1, help="Train every run for N steps; results go to <name>-limit-N.", metavar="N")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="AXIS=VALUE",
        help="Make only these runs now, such as constraint=none,seed=0..2; may be repeated.",
        show_default="all",
    ),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--override",
        metavar="KEY=VALUE",
        help="Replace a value of the sweep file, such as training.steps=5000; may be repeated.",
        show_default="none",
    ),
]
ListIds = Annotated[bool, typer.Option("--list", help="Print the ids of the runs, and nothing else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Go on in a folder with runs that the sweep file no longer has.")]
ThenReport = Annotated[bool, typer.Option("--report/--no-report", help="Write tables and plots at the end.")]
