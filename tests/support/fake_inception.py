"""A small network that replaces Inception, and small random images."""

import torch
from torch import nn

from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.features.inception import CLASSES, DIMENSIONS, Inception

CPU = torch.device("cpu")


def network(seed=0, sha256="a" * 64):
    """Return random features of coarse colours, positive like Inception's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, DIMENSIONS), nn.ReLU())
        head = torch.randn(CLASSES, DIMENSIONS) / 20
    return Inception(backbone.requires_grad_(False), head, sha256)


def images(n, size=8, channels=3, seed=0):
    return torch.randint(256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def data(train=40, held_out=30, seed=0, classes=None):
    labels = [None if classes is None else torch.arange(n) % classes for n in (train, held_out)]
    splits = (Split(images(train, seed=seed), labels[0]), Split(images(held_out, seed=seed + 1), labels[1]))
    return ImageData.load(*splits, CPU, classes=classes)
