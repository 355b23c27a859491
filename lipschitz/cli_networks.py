"""The subcommands about networks, of yours or of a run, and about images; `lipschitz.cli` adds them to its own."""

from pathlib import Path
from typing import Annotated

import typer

from lipschitz.errors import printable
from lipschitz.signals import stopping_cleanly
from lipschitz.terminal import console

networks = typer.Typer()
RunFolder = Annotated[Path, typer.Argument(help="Folder of a run: results/<sweep>/runs/<run id>.", show_default=False)]


@networks.command()
def measure(
    module: Annotated[str, typer.Option(help="Factory of the network: package.module:factory.", show_default=False)],
    sizes: Annotated[str, typer.Option("--input", help="Shape of one sample, such as 3,32,32.", show_default=False)],
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to load: a checkpoint of torch.save, or a .safetensors file.", show_default="random"
        ),
    ] = None,
    weights_key: Annotated[
        str | None,
        typer.Option(help="Which state dict of the file, such as ema, where several fit.", show_default="the one"),
    ] = None,
    label: Annotated[
        int | None,
        typer.Option(min=0, help="Class of a conditional network: its second argument.", show_default="none"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the factory's random weights and of the search.")] = 0,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0, max=1e6, help="Time limit; what is not finished is named as not measured.", show_default="none"
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Also compute the exact constant of a piecewise-linear network on 1 or 2 inputs."),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print only JSON; null stands for infinity, and stderr explains it.")
    ] = False,
) -> None:
    """Measure σ of every layer of your network, and bracket its Lipschitz constant."""
    from lipschitz.commands import measure as command

    request = command.Request(module, sizes, weights, weights_key, label, seed, seconds, exact)
    command.measure_and_print(request, console, as_json=json)


@networks.command()
def export(
    run: RunFolder,
    to: Annotated[str, typer.Option(help="Format: safetensors.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="<run id>")] = None,
) -> None:
    """Write the weights of a finished run's networks, last and best, with its run.json."""
    from lipschitz.commands.export import export as write

    for path in write(run, to, out):
        console.print(printable(str(path)), soft_wrap=True)


@networks.command()
def sample(
    run: RunFolder,
    out: Annotated[
        Path, typer.Option(help="A new folder for PNG files, or a file that ends in .npz.", show_default=False)
    ],
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10**7, help="Number of samples.")] = 10_000,
    which: Annotated[str, typer.Option(help="Networks of the last or the best step.")] = "last",
    average: Annotated[
        bool, typer.Option("--average", help="By the moving average of the generator, of a run with ema.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda.")] = "auto",
) -> None:
    """Generate samples by the generator of a finished run."""
    from lipschitz.commands.sample import sample as write
    from lipschitz.sweep.engine.site import worker_devices

    with stopping_cleanly():
        write(run, number, out, which=which, average=average, seed=seed, device=worker_devices(device, 1)[0])
    console.print(printable(str(out)), soft_wrap=True)


@networks.command()
def evaluate(
    generated: Annotated[Path, typer.Argument(help="Images that are judged: a folder or .npz.", show_default=False)],
    real: Annotated[Path, typer.Argument(help="Real images to compare with: a folder or .npz.", show_default=False)],
    protocol: Annotated[str, typer.Option(help="How many images are compared and how: modern or sngan.")] = "modern",
    judge: Annotated[
        str | None,
        typer.Option(
            help="A labelled data set whose classifier gives the features, offline; these distances are no FIDs.",
            show_default="the Inception network",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Crop and resize pictures to it.", show_default="as they are")
    ] = None,
    inception_weights: Annotated[
        Path | None, typer.Option(help="Weights of the FID's Inception network.", show_default="cache")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the judge's data set.", show_default="data")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print only JSON, with what each value depends on.")] = False,
) -> None:
    """FID, KID, precision and recall of any two folders or .npz files of images."""
    from lipschitz.commands.evaluate import evaluate_and_print
    from lipschitz.sweep.engine.site import worker_devices

    with stopping_cleanly():
        evaluate_and_print(
            generated,
            real,
            console,
            protocol=protocol,
            judge=judge,
            size=size,
            inception_weights=inception_weights,
            data_root=data_root,
            device=worker_devices(device, 1)[0],
            as_json=json,
        )
