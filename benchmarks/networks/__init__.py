"""Public discriminators, written after their papers, and torchvision's classifiers: networks to measure.

`PUBLIC_NETWORKS` has them by name. They are written in the idioms of public code, because these are what a measurement
meets. Weights are random.

- convolutional, residual, attention, progressive: discriminators.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import spectral_norm as spectral_norm_hook

from lipschitz.datasets.images.torchvision_import import import_torchvision
from networks.attention import SAGAN, BigGAN, OfOneClass
from networks.convolutional import BEGAN, DCGAN, DRAGAN, LSGAN, SNGAN, PatchGAN
from networks.progressive import ProGAN, StyleGAN2
from networks.residual import R3GAN, WGANGP, GANStability

IMAGE = (3, 64, 64)
PASSES, BATCH = 3, 8
"""Forward passes in train mode before a network is measured, and their samples."""


class PublicNetwork(NamedTuple):
    """A factory, and the shape of one sample."""

    factory: Callable[[], nn.Module]
    shape: tuple[int, ...] = IMAGE

    def build(self, seed: int = 0) -> nn.Module:
        """Return the network in eval mode, with random weights.

        A few forward passes in train mode on noise give batch normalization its statistics and spectral normalization
        its vectors. torch's global generator is as it was before.
        """
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            net = self.factory().train()
            for _ in range(PASSES):
                net(torch.randn(BATCH, *self.shape))
        return net.eval()


def classifier(name: str, **options: Any) -> nn.Module:
    """Return torchvision's classifier of that name, with random weights, also of a last layer that starts at zero."""
    net: nn.Module = getattr(import_torchvision().models, name)(weights=None, **options)
    for layer in net.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            layer.reset_parameters()
    return net


CLASSIFIERS = (
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "resnet18",
    "squeezenet1_1",
    "densenet121",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
)
PUBLIC_NETWORKS: dict[str, PublicNetwork] = {
    "dcgan": PublicNetwork(DCGAN),
    "lsgan": PublicNetwork(LSGAN),
    "sngan_hook": PublicNetwork(partial(SNGAN, spectral_norm_hook)),
    "sngan_parametrization": PublicNetwork(partial(SNGAN, parametrizations.spectral_norm)),
    "patchgan_batch_norm": PublicNetwork(partial(PatchGAN, nn.BatchNorm2d, 6), (6, 64, 64)),
    "patchgan_instance_norm": PublicNetwork(partial(PatchGAN, nn.InstanceNorm2d)),
    "began": PublicNetwork(BEGAN),
    "dragan": PublicNetwork(DRAGAN, (1, 28, 28)),
    "wgan_gp": PublicNetwork(WGANGP),
    "gan_stability": PublicNetwork(GANStability),
    "r3gan": PublicNetwork(R3GAN),
    "sagan": PublicNetwork(SAGAN),
    "biggan": PublicNetwork(lambda: OfOneClass(BigGAN())),
    "progan": PublicNetwork(ProGAN),
    "stylegan2": PublicNetwork(StyleGAN2),
    **{name: PublicNetwork(partial(classifier, name)) for name in CLASSIFIERS},
    "vit_b_16": PublicNetwork(partial(classifier, "vit_b_16", image_size=IMAGE[-1])),
}
