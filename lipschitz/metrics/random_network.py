"""Metrics of images without labels, in the features of a random network: measured where no protocol is named."""

from lipschitz.metrics.classifier import FrechetClassifier, KIDClassifier
from lipschitz.metrics.points import W1


class FrechetRandom(FrechetClassifier):
    """Fréchet distance to held-out images in the features of a network with random weights; not the FID."""

    named = "frechet_random"
    judges = "random_network"
    title = "Fréchet distance, random network"
    source = "Naeem et al. 2020, arXiv:2002.09797, on networks with random weights"
    order = 1


class W1Random(W1):
    """Exact 1-Wasserstein distance to held-out images in the features of a network with random weights."""

    named = "w1_random"
    judges = "random_network"
    title = "W1, random network"
    order = 2


class KIDRandom(KIDClassifier):
    """Unbiased squared MMD, cubic kernel, to held-out images in the features of a network with random weights."""

    named = "kid_random"
    judges = "random_network"
    title = "KID, random network"
    order = 3
