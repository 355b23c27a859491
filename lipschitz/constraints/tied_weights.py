"""Tied weights: layers that share one parameter are projected once and penalised once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from lipschitz.estimation.layers import WeightedLayer, raw_weight, weighted_layers


def distinct_layers(net: nn.Module) -> Iterator[tuple[str, WeightedLayer]]:
    """Yield (name, layer) for every weighted layer of ``net``; of layers with the same raw weight only the first."""
    seen: set[int] = set()
    for name, layer in weighted_layers(net):
        if id(raw_weight(layer)) not in seen:
            seen.add(id(raw_weight(layer)))
            yield name, layer


@torch.no_grad()
def divide_each_once(parameters: Sequence[Tensor], divisors: Sequence[Tensor]) -> None:
    """Divide each parameter by its scalar, in place; one that is listed several times once, by its largest divisor."""
    largest: dict[int, tuple[Tensor, Tensor]] = {}
    for parameter, divisor in zip(parameters, divisors, strict=True):
        _, known = largest.get(id(parameter), (parameter, divisor))
        largest[id(parameter)] = parameter.detach(), divisor if known is divisor else torch.maximum(known, divisor)
    weights, scalars = zip(*largest.values(), strict=True) if largest else ((), ())
    torch._foreach_div_(weights, scalars)
