"""Resize and scale uint8 images for the Inception network, as pytorch-fid or torch-fidelity does.

The two give different FIDs, so a protocol names its preprocessing.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 299
"""Height and width of the network's input in pixels."""


def preprocess(images: Tensor, name: str) -> Tensor:
    """Return uint8 ``images`` ``(n, c, h, w)``, c 1 or 3, as float32 ``(n, 3, 299, 299)`` in about [-1, 1].

    Grey images get three equal channels, as in PIL's conversion to RGB. ``name`` is a key of `PREPROCESSINGS`.
    """
    return PREPROCESSINGS[name](images.expand(-1, 3, -1, -1).float())


def _pytorch_fid(images: Tensor) -> Tensor:
    """Resize bilinearly with pixel centres at half-integers (align_corners=False); 255 is mapped to 1."""
    return 2 * interpolate(images / 255, size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1


def _torch_fidelity(images: Tensor) -> Tensor:
    """Resize bilinearly as TensorFlow 1, with pixel 0 mapped to pixel 0; 128 is mapped to 0 and 255 to 127/128."""
    return (_resize_from_corner(_resize_from_corner(images, -1), -2) - 128) / 128


def _resize_from_corner(images: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along ``dim`` at 0, s, 2 s, ..., s = size / 299; the last pixel is repeated at the end."""
    size = images.shape[dim]
    # In float32 throughout, for the same rounding as the reference.
    positions = torch.arange(SIZE, dtype=torch.float32, device=images.device) * torch.tensor(
        size / SIZE, dtype=torch.float32, device=images.device
    )
    before = positions.long()
    after = (before + 1).clamp_max(size - 1)
    fraction = (positions - before).reshape([SIZE if axis == images.dim() + dim else 1 for axis in range(images.dim())])
    low, high = images.index_select(dim, before), images.index_select(dim, after)
    return low + (high - low) * fraction


PREPROCESSINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "pytorch_fid": _pytorch_fid,
    "torch_fidelity": _torch_fidelity,
}
"""By name of the package that is reproduced: float32 ``(n, 3, h, w)`` from 0 to 255 -> network input.

``pytorch_fid``: pytorch-fid 0.3. ``torch_fidelity``: inception-v3-compat of torch-fidelity 0.4, which reproduces the
TensorFlow graph of Heusel et al. 2017.
"""
