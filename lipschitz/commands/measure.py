"""``lipschitz measure``: import a network, measure σ of its layers, bracket its Lipschitz constant, and print them."""

import importlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from lipschitz.errors import InputError, first_line, nearest
from lipschitz.estimation.measure import Measurement, measure

SHOWN_KEYS = 3
"""Most keys of a state dict that an error names."""


def measure_and_print(
    module: str, sizes: str, weights: Path | None, seed: int, console: Console, *, as_json: bool
) -> None:
    """Measure a network, and print a table, or JSON, whose infinite bounds stderr explains; see `measure_module`."""
    measurement = measure_module(module, sizes, weights, seed)
    if not as_json:
        print_table(measurement, console)
        return
    print(to_json(measurement))
    for reason in measurement.reasons:
        print(reason, file=sys.stderr)


def measure_module(module: str, sizes: str, weights: Path | None, seed: int) -> Measurement:
    """Measure the network that a factory makes; see `lipschitz.estimation.measure`.

    Args:
        module: the factory, ``package.module:factory``; it is first searched for in the current folder.
        sizes: shape of one sample, such as ``3,32,32``.
        weights: file of the network's state dict.
        seed: seed of the factory's random weights, and of the measurement.

    Raises:
        InputError: an argument is wrong.
    """
    shape = _shape(sizes)
    torch.manual_seed(seed)
    net = _network(module)
    if weights is not None:
        _load(net, weights)
    try:
        return measure(net, shape, seed=seed)
    except ValueError as error:
        raise InputError(f"--module {module} --input {sizes}: {error}") from None


def to_json(measurement: Measurement) -> str:
    """Return the layers and the bracket as strict JSON, with null for infinity."""
    return json.dumps(
        {
            "layers": [
                {key: _finite(value) if isinstance(value, float) else value for key, value in layer._asdict().items()}
                for layer in measurement.layers
            ],
            "lower": _finite(measurement.lower),
            "upper": _finite(measurement.upper),
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def print_table(measurement: Measurement, console: Console) -> None:
    """Print the layers as a table, then the bracket and the reasons for an infinite bound."""
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("type")
    for column in ("σ kernel", "σ operator", "operator at most"):
        table.add_column(column, justify="right")
    for layer in measurement.layers:
        table.add_row(layer.name, layer.type, *(f"{value:.5g}" for value in layer[2:]))
    console.print(table, "")
    bracket = f"{measurement.lower:.5g} <= Lipschitz constant <= {measurement.upper:.5g}"
    ratio = f", a factor of {measurement.ratio:.3g}" if math.isfinite(measurement.ratio) else ""
    console.print(bracket + ratio, soft_wrap=True)
    for reason in measurement.reasons:
        console.print(f"- {reason}", soft_wrap=True, markup=False)


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
    except Exception as error:
        reason = first_line(error, with_type=True)
        raise InputError(f"--module {module}: '{path}' cannot be imported: {reason}") from None
    try:
        factory = attrgetter(name)(found)
    except AttributeError:
        names = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
        raise InputError(f"--module {module}: '{path}' has no '{name}'; {nearest(name, names)}") from None
    try:
        net = factory if isinstance(factory, nn.Module) else factory()
    except Exception as error:
        raise InputError(f"--module {module}: {name}() raises {first_line(error, with_type=True)}") from None
    if not isinstance(net, nn.Module):
        raise InputError(f"--module {module}: {name}() returns {type(net).__name__}; allowed: a torch.nn.Module")
    return net


def _load(net: nn.Module, path: Path) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # torch.load raises nearly anything on a file that it did not write.
        state = None
    if not (isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())):
        raise InputError(f"{path}: holds no state dict; allowed: what torch.save(net.state_dict(), file) writes")
    if misfits := list(_misfits(net.state_dict(), state)):
        raise InputError(f"{path}: does not fit the network: {'; '.join(misfits)}")
    net.load_state_dict(state)


def _misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterable[str]:
    if missing := [f"'{key}'" for key in own if key not in state]:
        yield f"it lacks {_some(missing)}"
    if unknown := [f"'{key}'" for key in state if key not in own]:
        yield f"the network lacks {_some(unknown)}"
    shapes = ((key, tuple(own[key].shape), tuple(state[key].shape)) for key in own if key in state)
    if different := [f"'{key}' is {theirs}, not {ours}" for key, ours, theirs in shapes if ours != theirs]:
        yield _some(different)


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN_KEYS} more" if len(items) > SHOWN_KEYS else ""
    return ", ".join(items[:SHOWN_KEYS]) + more
