"""Arrays from which the report draws a discriminator: its values on a grid, and the spectra of its layers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

Extent = tuple[float, float, float, float]
"""A rectangle of the plane: least and greatest x, least and greatest y."""

GRID = 96
"""Points along each side of the grid on which a function of the plane is drawn."""


def spectrum_arrays(spectra: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return ``spectra/<layer>``, ``(evaluations, k)``, and ``spectrum/<layer>``, that of the last evaluation."""
    arrays = {}
    for name, rows in spectra.items():
        arrays[f"spectrum/{name}"] = rows[-1].numpy()
        arrays[f"spectra/{name}"] = rows.numpy()
    return arrays


@torch.no_grad()
def surface_arrays(net: nn.Module, extent: Extent, device: torch.device) -> dict[str, np.ndarray]:
    """Return the values of ``net`` on a grid over ``extent``, ``surface``, and ``surface_extent``."""
    with eval_mode(net):
        values = values_on_grid(net, extent, device)
    return {"surface": values, "surface_extent": np.array(extent, dtype=np.float32)}


def values_on_grid(function: Callable[[Tensor], Tensor], extent: Extent, device: torch.device) -> np.ndarray:
    """Return ``function``, ``(n, 2)`` -> ``(n, 1)``, on a grid over ``extent``, ``(GRID, GRID)``; a row has one y."""
    x = torch.linspace(extent[0], extent[1], GRID, device=device)
    y = torch.linspace(extent[2], extent[3], GRID, device=device)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    return function(grid).view(GRID, GRID).cpu().numpy()


@contextmanager
def eval_mode(net: nn.Module) -> Iterator[None]:
    """Put ``net`` in eval mode for the block."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
