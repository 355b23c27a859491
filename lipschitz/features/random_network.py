"""Random network: a convolutional network that is not trained, whose features compare images without labels, offline.

Its distances compare methods on one data set. They are not FIDs, and see less of what an image shows than features of
a trained network. Networks with random weights are used to compare images by Naeem et al. 2020, arXiv:2002.09797.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.features.reference_classifier import BATCH, hash_of_weights
from lipschitz.models.classifier import Classifier
from lipschitz.random_streams import stream_seed

SEED = 0


@dataclass(frozen=True)
class RandomNetwork:
    """A network with random weights as a map from images to features."""

    net: Classifier
    """In float64; only its features are used."""
    sha256: str
    """SHA-256, in hex, of the weights."""

    def features(self, images: Tensor) -> np.ndarray:
        """Map float images ``(n, c, h, w)`` in [-1, 1] to float64 features ``(n, 64)``, without random numbers.

        Generated images must be quantised to 8 bits first, as real images are.
        """
        weight = self.net.head.weight
        with torch.no_grad():
            parts = [self.net.features(part.to(weight)) for part in torch.split(images, BATCH)]
        return torch.cat(parts).cpu().numpy()


def random_network(shape: tuple[int, ...], device: torch.device) -> RandomNetwork:
    """Return the network for images of ``shape`` ``(c, h, w)`` on ``device``: that of the reference classifier.

    Its weights are those of He et al. 2015, arXiv:1502.01852, eq. 10, and biases are zero. They are drawn on the CPU
    from one seed, so every run on images of the shape has the same network.
    """
    channels, height, width = shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(SEED, "random_network/weights"))
        net = Classifier((channels, height, width), 1)
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
    sha256 = hash_of_weights(net.state_dict())
    return RandomNetwork(net.double().to(device), sha256)
