"""From bytes to what an Inception network takes: two references resize and scale differently, so a FID names which."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 299
"""Height and width in pixels that the network takes."""


def preprocess(images: Tensor, name: str) -> Tensor:
    """Return uint8 ``images`` ``(n, c, h, w)``, c 1 or 3, as float32 ``(n, 3, 299, 299)`` about [-1, 1].

    Grey images get three equal channels, as PIL converts them. ``name`` is a key of `PREPROCESSINGS`.
    """
    return PREPROCESSINGS[name](images.expand(-1, 3, -1, -1).float())


def _pytorch_fid(images: Tensor) -> Tensor:
    """Resize with pixels as areas, half a pixel from edge to centre; 255 becomes 1."""
    return 2 * interpolate(images / 255, size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1


def _torch_fidelity(images: Tensor) -> Tensor:
    """Resize as TensorFlow 1 did, pixel 0 of one grid upon pixel 0 of the other; 128 becomes 0, and 255 not quite 1."""
    return (_resize_from_corner(_resize_from_corner(images, -1), -2) - 128) / 128


def _resize_from_corner(images: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along ``dim`` at 0, s, 2 s ... with s = size / 299, the last pixel repeated beyond it."""
    size = images.shape[dim]
    # Rounded as the reference rounds it: float32 throughout.
    where = torch.arange(SIZE, dtype=torch.float32, device=images.device) * torch.tensor(
        size / SIZE, dtype=torch.float32, device=images.device
    )
    before = where.long()
    after = (before + 1).clamp_max(size - 1)
    share = (where - before).reshape([SIZE if axis == images.dim() + dim else 1 for axis in range(images.dim())])
    low, high = images.index_select(dim, before), images.index_select(dim, after)
    return low + (high - low) * share


PREPROCESSINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "pytorch_fid": _pytorch_fid,
    "torch_fidelity": _torch_fidelity,
}
"""Every preprocessing by the package whose numbers it reproduces, float32 0 to 255 ``(n, 3, h, w)`` -> network input.

``pytorch_fid``: pytorch-fid 0.3. ``torch_fidelity``: torch-fidelity 0.4's inception-v3-compat, which reproduces the
TensorFlow graph of Heusel et al. 2017.
"""
