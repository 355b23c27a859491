"""Convolutional and fully connected discriminators: DCGAN, LSGAN, SN-GAN, PatchGAN, BEGAN, DRAGAN."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

Wrap = Callable[..., Any]
"""A reparametrisation of a layer, such as torch's ``spectral_norm``."""


class DCGAN(nn.Module):
    """Radford et al. 2015 (arXiv:1511.06434), for 64x64: strided 4x4 convolutions and batch normalization."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for factor in (1, 2, 4):
            layers += [
                nn.Conv2d(factor * width, 2 * factor * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * factor * width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.main = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, bias=False), nn.Sigmoid())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to probabilities ``(n,)``."""
        output: Tensor = self.main(x).view(-1, 1).squeeze(1)
        return output


class LSGAN(nn.Module):
    """Mao et al. 2016 (arXiv:1611.04076), Fig. 2: strided 5x5 convolutions, batch normalization, a linear output."""

    def __init__(self, width: int = 64, size: int = 64) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, 2, 2) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[2:])
        self.fc = nn.Linear(8 * width * (size // 16) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, size, size)`` to ``(n, 1)``."""
        x = leaky_relu(self.convs[0](x), 0.2)
        for conv, norm in zip(list(self.convs)[1:], self.norms, strict=True):
            x = leaky_relu(norm(conv(x)), 0.2)
        output: Tensor = self.fc(x.view(x.size(0), -1))
        return output


class SNGAN(nn.Module):
    """Miyato et al. 2018 (arXiv:1802.05957), Table 3: seven convolutions and a linear layer, all reparametrised."""

    def __init__(self, wrap: Wrap, size: int = 64) -> None:
        super().__init__()
        widths = [3, 64, 64, 128, 128, 256, 256, 512]
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(pairwise(widths)):
            conv = nn.Conv2d(a, b, 4, 2, 1) if number % 2 else nn.Conv2d(a, b, 3, 1, 1)
            layers += [wrap(conv), nn.LeakyReLU(0.1, inplace=True)]
        self.features = nn.Sequential(*layers)
        self.last = wrap(nn.Linear(512 * (size // 8) ** 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, size, size)`` to ``(n, 1)``."""
        output: Tensor = self.last(self.features(x).view(x.shape[0], -1))
        return output


class PatchGAN(nn.Sequential):
    """Isola et al. 2016 (arXiv:1611.07004), section 6.1.2: C64-C128-C256-C512 with receptive fields of 70x70.

    Maps ``(n, channels, h, w)`` to one number a patch, ``(n, 1, h / 8 - 2, w / 8 - 2)``.
    """

    def __init__(self, norm: Callable[[int], nn.Module], channels: int = 3) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, 64, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        bias = norm is not nn.BatchNorm2d
        for width, stride in ((64, 2), (128, 2), (256, 1)):
            conv = nn.Conv2d(width, 2 * width, 4, stride, 1, bias=bias)
            layers += [conv, norm(2 * width), nn.LeakyReLU(0.2, True)]
        super().__init__(*layers, nn.Conv2d(512, 1, 4, 1, 1))


class BEGAN(nn.Module):
    """Berthelot et al. 2017 (arXiv:1703.10717), Fig. 1 and Eq. 1: mean absolute error of an autoencoder."""

    def __init__(self, width: int = 64, code: int = 64, size: int = 64) -> None:
        super().__init__()
        self.width, self.start = width, 8
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.ELU(True)]
        halvings = (size // self.start).bit_length() - 1
        for factor in range(1, halvings + 1):
            layers += [nn.Conv2d(factor * width, factor * width, 3, 1, 1), nn.ELU(True)]
            layers += [nn.Conv2d(factor * width, (factor + 1) * width, 3, 2, 1), nn.ELU(True)]
        self.encoder = nn.Sequential(*layers)
        self.to_code = nn.Linear((halvings + 1) * width * self.start**2, code)
        self.from_code = nn.Linear(code, width * self.start**2)
        layers = []
        for _ in range(halvings):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.ELU(True), nn.Upsample(scale_factor=2, mode="nearest")]
        self.decoder = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, 1, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, size, size)`` to ``(n,)``."""
        code = self.to_code(self.encoder(x).reshape(x.size(0), -1))
        decoded = self.decoder(self.from_code(code).view(-1, self.width, self.start, self.start))
        return torch.mean(torch.abs(x - decoded), dim=(1, 2, 3))


class DRAGAN(nn.Module):
    """Kodali et al. 2017 (arXiv:1705.07215): the fully connected discriminator of MNIST images."""

    def __init__(self, width: int = 512, depth: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(depth):
            layers += [nn.Linear(784 if number == 0 else width, width), nn.ReLU(), nn.Dropout(0.3)]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 1, 28, 28)`` to ``(n, 1)``."""
        output: Tensor = self.net(torch.flatten(x, start_dim=1))
        return output
