"""``lipschitz measure``: import a network, measure σ of its layers, bracket its Lipschitz constant, and print them."""

import importlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.commands.weight_files import load_weights
from lipschitz.errors import InputError, first_line, nearest
from lipschitz.estimation.exact.constant import Exact, exact_constant
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.measure import Measurement, measure
from lipschitz.estimation.measurement_parts import MeasurementParts


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    module: str
    """The factory of the network, ``package.module:factory``; it is first searched for in the current folder."""
    sizes: str
    """Shape of one sample, such as ``3,32,32``."""
    weights: Path | None = None
    """File of the network's weights."""
    weights_key: str | None = None
    """Which state dict of the file, where several fit."""
    label: int | None = None
    """Class of a conditional network, which is its second argument."""
    seed: int = 0
    """Seed of the factory's random weights, and of the measurement."""
    seconds: float | None = None
    """Limit of the time of the measurement."""
    exact: bool = False
    """Whether to compute the exact constant of a network on one or two inputs."""


class Measured(NamedTuple):
    """What was asked for."""

    measurement: Measurement
    exact: Exact | None = None
    """None where it was not asked for."""

    def notes(self) -> list[str]:
        """Return why values are infinite or missing, and the conditions under which they hold."""
        of_exact = [f"exact: {self.exact.reason}"] if self.exact and self.exact.reason else []
        return [*without_repetition(self.measurement.reasons), *of_exact]


def without_repetition(notes: Iterable[str]) -> list[str]:
    """Return the first of all notes that differ only in the names of modules, with the number of the others."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(re.sub("'[^']*'", "''", note), []).append(note)
    return [f"{first} (and {len(others)} more of this kind)" if others else first for first, *others in kinds.values()]


def measure_and_print(request: Request, console: Console, *, as_json: bool) -> None:
    """Measure a network, and print a table, or JSON, whose infinite bounds stderr explains; see `measure_module`.

    What takes more than a few seconds says on stderr what it is doing.
    """
    with progress_lines("measuring") as progress:
        measured = measure_module(request, progress)
    if not as_json:
        print_table(measured, console)
        return
    print(to_json(measured))
    for note in measured.notes():
        print(note, file=sys.stderr)


def measure_module(request: Request, progress: Callable[[str], object] = lambda part: None) -> Measured:
    """Measure the network that a factory makes; see `lipschitz.estimation`.

    ``progress`` is called with the name of each part of the measurement when it starts.

    Raises:
        InputError: an argument is wrong, or the measurement raises an error, which is the cause.
    """
    shape = _shape(request.sizes)
    torch.manual_seed(request.seed)
    net = _network(request.module)
    if request.weights is not None:
        load_weights(net, request.weights, request.weights_key)
    if request.label is not None:
        net = Labelled(net, torch.tensor([request.label]))
    where = f"--module {request.module} --input {request.sizes}"
    try:
        parts = MeasurementParts(progress, request.seconds)
        measurement = measure(net, shape, seed=request.seed, seconds=request.seconds, progress=progress)
        return Measured(measurement, _exact(net, shape, parts) if request.exact else None)
    except ValueError as error:
        raise InputError(f"{where}: {error}{_hint(error, request)}") from error
    except (Exception, SystemExit) as error:  # A network may raise any error, or exit.
        raise InputError(f"{where}: measuring it raises {first_line(error, with_type=True)}") from error


def _exact(net: nn.Module, shape: tuple[int, ...], parts: MeasurementParts) -> Exact:
    with float64_copy(net) as twin:
        found = parts.run("exact constant", 1.0, lambda: exact_constant(twin, shape))
    return found or Exact(math.nan, 0, parts.notes[-1].removeprefix("exact constant: "))


def _hint(error: ValueError, request: Request) -> str:
    needs_more = "missing" in str(error) and "positional argument" in str(error)
    return "; of a conditional network, give a class by --label" if needs_more and request.label is None else ""


def to_json(measured: Measured) -> str:
    """Return the values as strict JSON, with null for infinity and for what was not measured."""
    measurement, exact = measured
    values = {"lower": measurement.lower, "upper": measurement.upper, "upper_product": measurement.product}
    values |= {"exact": exact.constant} if exact else {}
    return json.dumps(
        {
            "layers": [
                {key: _finite(value) if isinstance(value, float) else value for key, value in layer._asdict().items()}
                for layer in measurement.layers
            ],
            **{key: _finite(value) for key, value in values.items()},
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def print_table(measured: Measured, console: Console) -> None:
    """Print the layers as a table, then the bracket, the exact constant, and the notes."""
    measurement, exact = measured
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("type")
    for column in ("σ kernel", "σ operator", "operator at most"):
        table.add_column(column, justify="right")
    for layer in measurement.layers:
        table.add_row(layer.name, layer.type, *map(_number, layer[2:]))
    console.print(table, "")
    bracket = f"{measurement.lower:.5g} <= Lipschitz constant <= {measurement.upper:.5g}"
    ratio = f", a factor of {measurement.ratio:.3g}" if math.isfinite(measurement.ratio) else ""
    console.print(bracket + ratio, soft_wrap=True)
    if measurement.upper < measurement.product < math.inf:
        console.print(f"by the bounds of single layers alone: at most {measurement.product:.5g}", soft_wrap=True)
    if exact and not exact.reason:
        console.print(f"exact: {exact.constant:.5g}", soft_wrap=True)
    for note in measured.notes():
        console.print(f"- {note}", soft_wrap=True, markup=False)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.5g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shape(sizes: str) -> tuple[int, ...]:
    parts = sizes.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--input {sizes}: not the shape of a sample; allowed: positive integers, such as 3,32,32")
    return tuple(map(int, parts))


def _network(module: str) -> nn.Module:
    path, _, name = module.partition(":")
    if not path or not name:
        raise InputError(f"--module {module}: allowed: package.module:factory")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path holds strings
    try:
        found: Any = importlib.import_module(path)
    except (Exception, SystemExit) as error:  # A script may read the command line and exit.
        reason = first_line(error, with_type=True)
        raise InputError(f"--module {module}: '{path}' cannot be imported: {reason}") from None
    try:
        factory = attrgetter(name)(found)
    except AttributeError:
        names = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
        raise InputError(f"--module {module}: '{path}' has no '{name}'; {nearest(name, names)}") from None
    try:
        net = factory if isinstance(factory, nn.Module) else factory()
    except (Exception, SystemExit) as error:
        raise InputError(f"--module {module}: {name}() raises {first_line(error, with_type=True)}") from None
    if not isinstance(net, nn.Module):
        raise InputError(f"--module {module}: {name}() returns {type(net).__name__}; allowed: a torch.nn.Module")
    return net
