"""Check that a traced graph returns what its network returns, and that the network is a function of its input."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.errors import first_line
from lipschitz.estimation.upper_bound.tracing import Graph

SCALES = (1.0, 1e-2, 1e2)
"""Sizes of the random inputs. The first input is repeated at the end, which shows a network that returns something else
at a later call."""


def random_inputs(net: nn.Module, shape: tuple[int, ...]) -> list[Tensor]:
    """Return random inputs of one sample of ``shape``, of several sizes, the last equal to the first."""
    like = next(net.parameters(), torch.empty(0, dtype=torch.float64))
    rng = torch.Generator().manual_seed(0)
    draws = torch.randn((len(SCALES), 1, *shape), generator=rng, dtype=torch.float64, device="cpu").to(like)
    inputs = [scale * draw for scale, draw in zip(SCALES, draws, strict=True)]
    return [*inputs, inputs[0]]


def why_not_a_function(net: nn.Module, graph: Graph, inputs: list[Tensor]) -> str | None:
    """Return why the graph is not the network as a function of its input, or None if it seems to be."""
    if len(graph.returned) != 1:
        return f"the network returns {len(graph.returned)} values"
    # A value that is written and not read, such as a count of calls, does not matter.
    kept = {name: value for name, value in _kept_tensors(net) if name not in graph.changed - graph.read}
    versions = {name: value._version for name, value in kept.items()}
    expected = [net(example.clone()) for example in inputs]
    changed = [name for name, value in kept.items() if value._version != versions[name]]
    if changed := sorted({*changed, *(graph.changed & graph.read)}):
        names = ", ".join(f"'{name}'" for name in changed)
        return f"the network changes {names} at each call, so it is no function of its input alone"
    try:
        found = [graph(example.clone()) for example in inputs]
    except Exception as error:  # A traced forward pass may raise any error.
        return f"the graph of the network by torch.export cannot be run: {first_line(error)}"
    if not _same_outputs(found, expected):
        return "the graph of the network by torch.export does not return what the network returns"
    return None


def _same_outputs(found: list[Any], expected: list[Any]) -> bool:
    """Compare relative to how much the outputs differ from each other, not to their size: offsets do not count."""
    if not all(isinstance(value, Tensor) for value in (*found, *expected)):
        return False
    if [value.shape for value in found] != [value.shape for value in expected]:
        return False
    if not expected[0].numel():
        return True
    a, b = (torch.stack(values).nan_to_num(math.inf, math.inf, -math.inf) for values in (found, expected))
    # All together: two inputs are equal, and inner values may be larger than the output that they lead to.
    finite = b[b.isfinite().reshape(len(b), -1).all(1)]
    rounding = 64 * torch.finfo(b.dtype).eps * finite.abs().amax() if len(finite) else 0
    spread = (finite - finite[:1]).abs().amax() if len(finite) else 0
    return bool(((a == b) | ((a - b).abs() <= 1e-9 * spread + rounding)).all())


def _kept_tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters, buffers, and other tensors that are attributes of modules, with their names."""
    yield from net.named_parameters()
    yield from net.named_buffers()
    for name, module in net.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, Tensor):
                yield f"{name}.{attribute}".lstrip("."), value
