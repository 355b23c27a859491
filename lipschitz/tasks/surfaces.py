"""What the report draws of a discriminator, as arrays: its values over the plane, and its layers' spectra."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

SURFACE = 96
"""Points along each side of the grid on which a function of points is drawn."""


def spectrum_arrays(spectra: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return ``spectra/<layer>``, a row an evaluation, and ``spectrum/<layer>``, the last of them."""
    arrays = {}
    for name, rows in spectra.items():
        arrays[f"spectrum/{name}"] = rows[-1].numpy()
        arrays[f"spectra/{name}"] = rows.numpy()
    return arrays


@torch.no_grad()
def surface(net: nn.Module, extent: tuple[float, float, float, float], device: torch.device) -> dict[str, np.ndarray]:
    """Return the values of ``net`` over the frame ``extent`` as ``surface`` and the frame as ``surface_extent``."""
    with evaluated(net):
        values = over_plane(net, extent, device)
    return {"surface": values, "surface_extent": np.array(extent, dtype=np.float32)}


def over_plane(
    function: Callable[[Tensor], Tensor], extent: tuple[float, float, float, float], device: torch.device
) -> np.ndarray:
    """Return the values of ``function``, points ``(n, 2)`` -> one each, on a grid; rows go up the second axis."""
    x = torch.linspace(extent[0], extent[1], SURFACE, device=device)
    y = torch.linspace(extent[2], extent[3], SURFACE, device=device)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    return function(grid).view(SURFACE, SURFACE).cpu().numpy()


@contextmanager
def evaluated(net: nn.Module) -> Iterator[None]:
    """Put ``net`` in eval mode for the block."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
