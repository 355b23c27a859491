"""Inception network of the FID: features of images, and class logits for the Inception Score."""

import copy
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.errors import InputError
from lipschitz.features.inception_weights import SHA256
from lipschitz.files import open_regular
from lipschitz.tf32 import float32_products

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


DIMENSIONS, CLASSES = 2048, 1008
BATCH, DEVICE_BATCH = 64, 256
"""Number of images in a forward pass on the CPU, and on a GPU, which small batches leave idle."""
Precision = Literal["float32", "tf32"]
"""Of the products in the network. TF32, on a GPU, rounds their factors to 10 bits."""


class InceptionOutputs(NamedTuple):
    """Outputs of the Inception network for n images, on the network's device."""

    features: Tensor
    """Output of the last average pooling, float32 ``(n, 2048)``, for FID and KID."""
    logits: Tensor
    """Logits of the network's 1,008 classes without bias, float32 ``(n, 1008)``, for the Inception Score."""


@dataclass(frozen=True)
class Inception:
    """The network of TensorFlow's 2015 graph, as in pytorch-fid and torch-fidelity: float32 weights, in eval mode."""

    backbone: nn.Module
    """Images ``(n, 3, 299, 299)`` -> features ``(n, 2048)``."""
    head: Tensor
    """Weights of the last layer, ``(1008, 2048)``. Its bias is left out, as in the code of Salimans et al. 2016."""
    sha256: str
    """SHA-256, in hex, of the file with the weights."""

    def embed(self, images: Iterable[Tensor], preprocessing: str, precision: Precision = "float32") -> InceptionOutputs:
        """Map chunks of uint8 images ``(k, c, h, w)``, n images in all, to the outputs for all n in order.

        The outputs stay on the network's device. ``preprocessing`` is a key of `PREPROCESSINGS`. The products of the
        network are in ``precision``, whatever training uses; those of the logits are in float64. In TF32 images and
        kernels are in channels_last, the layout of the tensor cores.
        """
        is_tf32, device = precision == "tf32", self.head.device
        network = self._in_channels_last if is_tf32 else self.backbone
        features, logits = [], []
        with torch.no_grad(), float32_products("tf32" if is_tf32 else "ieee"):
            for chunk in images:
                for part in torch.split(chunk.to(device), BATCH if device.type == "cpu" else DEVICE_BATCH):
                    seen: Tensor = network(preprocess(part, preprocessing))
                    features.append(seen)
                    logits.append((seen.double() @ self.head.double().T).float())
        return InceptionOutputs(torch.cat(features), torch.cat(logits))

    @cached_property
    def _in_channels_last(self) -> Callable[[Tensor], Tensor]:
        # A copy: an evaluation may use both layouts.
        network = copy.deepcopy(self.backbone).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return lambda images: network(images.contiguous(memory_format=torch.channels_last))


def load_inception(path: Path, device: torch.device) -> Inception:
    """Return the network with the weights in the file ``path``, as published by pytorch-fid.

    Raises:
        InputError: the file cannot be read or is not the published one.
    """
    content, sha256 = read_weights(path)
    return inception_of(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), sha256, device)


def read_weights(path: Path) -> tuple[bytes, str]:
    """Return the content of ``path`` and its SHA-256, which must begin with `inception_weights.SHA256`.

    Raises:
        InputError: the file cannot be read or is not the published one.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(SHA256):
        size = f"{len(content):,} bytes"
        raise InputError(
            f"{path} does not hold the weights of the FID's Inception network ({size}): its SHA-256 begins with "
            f"{found[:8]}, that of the published file begins with {SHA256}; download it again"
        )
    return content, found


def inception_of(weights: dict[str, Tensor], sha256: str, device: torch.device) -> Inception:
    """Return the network with ``weights``, a state dict with torchvision's names."""
    net = untrained_network()
    net.load_state_dict(weights)
    head = net.get_parameter("fc.weight").detach()
    net.fc = nn.Identity()
    net.eval().requires_grad_(False)
    return Inception(net.to(device), head.to(device), sha256)


def untrained_network() -> nn.Module:
    """Return torchvision's Inception v3 with pytorch-fid's blocks, and random weights from torch's global generator."""
    torchvision = import_torchvision()
    from pytorch_fid import inception as blocks

    net: nn.Module = torchvision.models.inception_v3(
        weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False
    )
    # The 2015 graph does not count the padding in average pooling, and has max pooling in one block.
    net.Mixed_5b = blocks.FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = blocks.FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = blocks.FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = blocks.FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = blocks.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = blocks.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = blocks.FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = blocks.FIDInceptionE_1(1280)
    net.Mixed_7c = blocks.FIDInceptionE_2(2048)
    return net
