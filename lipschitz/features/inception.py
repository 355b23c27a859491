"""Inception network of the FID: features of images, and class logits for the Inception Score."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.errors import InputError
from lipschitz.features.inception_weights import SHA256
from lipschitz.features.preprocessing import preprocess
from lipschitz.tf32 import float32_products

DIMENSIONS, CLASSES = 2048, 1008
BATCH = 64
"""Number of images in a forward pass."""


class InceptionOutputs(NamedTuple):
    """Outputs of the Inception network for n images."""

    features: np.ndarray
    """Output of the last average pooling, float32 ``(n, 2048)``, for FID and KID."""
    logits: np.ndarray
    """Logits of the network's 1,008 classes without bias, float32 ``(n, 1008)``, for the Inception Score."""


@dataclass(frozen=True)
class Inception:
    """The network of TensorFlow's 2015 graph, as in pytorch-fid and torch-fidelity, in float32 and eval mode."""

    backbone: nn.Module
    """Images ``(n, 3, 299, 299)`` -> features ``(n, 2048)``."""
    head: Tensor
    """Weights of the last layer, ``(1008, 2048)``. Its bias is left out, as in the code of Salimans et al. 2016."""
    sha256: str
    """SHA-256, in hex, of the file with the weights."""

    def embed(self, images: Iterable[Tensor], preprocessing: str) -> InceptionOutputs:
        """Map chunks of uint8 images ``(k, c, h, w)``, n images in all, to the outputs for all n in order.

        ``preprocessing`` is a key of `lipschitz.features.preprocessing.PREPROCESSINGS`. All products are in float32 or
        float64, also if training uses TF32.
        """
        device = self.head.device
        features, logits = [], []
        with torch.no_grad(), float32_products("ieee"):
            for chunk in images:
                for part in torch.split(chunk.to(device), BATCH):
                    seen: Tensor = self.backbone(preprocess(part, preprocessing))
                    features.append(seen.cpu())
                    logits.append((seen.double() @ self.head.double().T).float().cpu())
        return InceptionOutputs(torch.cat(features).numpy(), torch.cat(logits).numpy())


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
        content = path.read_bytes()
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
