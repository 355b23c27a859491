"""The subcommands about networks, of yours or of a run, and about images; `lipschitz.cli` adds them to its own."""

from pathlib import Path
from typing import Annotated

import typer

from lipschitz.terminal import console

networks = typer.Typer()


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
