"""Residual discriminators: WGAN-GP with layer normalization, the ResNet of R1, and R3GAN with grouped convolutions."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WGANGPBlock(nn.Module):
    """Layer normalization, ReLU and convolution, twice, then mean pooling; the shortcut pools first."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm([inputs, size, size]), nn.LayerNorm([inputs, size, size])
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, size, size)`` to half the size."""
        h = self.conv1(F.relu(self.norm1(x)))
        h = self.conv2(F.relu(self.norm2(h)))
        output: Tensor = mean_pool(h) + self.shortcut(mean_pool(x))
        return output


def mean_pool(x: Tensor) -> Tensor:
    """Return the mean of each 2x2 square, as the sum of four strided views."""
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


class WGANGP(nn.Module):
    """Gulrajani et al. 2017 (arXiv:1704.00028), the 64x64 ResNet of appendix F with layer normalization."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            WGANGPBlock(a, b, 64 // 2**number) for number, (a, b) in enumerate(pairwise(widths))
        )
        self.last = nn.Linear(16 * widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to ``(n,)``."""
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        output: Tensor = self.last(h.view(-1, self.last.in_features)).view(-1)
        return output


def activation(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2."""
    return F.leaky_relu(x, 2e-1)


class ScaledBlock(nn.Module):
    """x -> s(x) + 0.1 f(x), with two convolutions in f and a 1x1 convolution s where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.conv_0 = nn.Conv2d(inputs, hidden, 3, stride=1, padding=1)
        self.conv_1 = nn.Conv2d(hidden, outputs, 3, stride=1, padding=1)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, stride=1, padding=0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h, w)``."""
        shortcut = self.conv_s(x) if self.learned_shortcut else x
        dx = self.conv_0(activation(x))
        dx = self.conv_1(activation(dx))
        output: Tensor = shortcut + 0.1 * dx
        return output


class GANStability(nn.Module):
    """Mescheder et al. 2018 (arXiv:1801.04406), appendix: the ResNet of R1, with one output a class."""

    def __init__(self, width: int = 64, classes: int = 1) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 16 * width]
        blocks: list[nn.Module] = [ScaledBlock(width, width)]
        for a, b in pairwise(widths):
            blocks += [nn.AvgPool2d(3, stride=2, padding=1), ScaledBlock(a, b)]
        self.conv_img = nn.Conv2d(3, width, 3, padding=1)
        self.resnet = nn.Sequential(*blocks)
        self.fc = nn.Linear(16 * widths[-1], classes)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map ``(n, 3, 64, 64)`` and classes ``(n,)`` to ``(n,)``."""
        batch_size = x.size(0)
        out = self.resnet(self.conv_img(x)).view(batch_size, -1)
        out = self.fc(activation(out))
        y = torch.zeros(batch_size, dtype=torch.int64, device=x.device) if y is None else y
        output: Tensor = out[torch.arange(batch_size, device=x.device), y]
        return output


class BiasedLeakyReLU(nn.Module):
    """Leaky ReLU of slope 0.2 after a bias a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, channels, h, w)`` to the same shape."""
        return F.leaky_relu(x + self.bias.to(x.dtype).view(1, -1, 1, 1), 0.2)


class ScaledConv(nn.Module):
    """A convolution without bias whose start has the variance of Fix-up initialisation, ``gain / sqrt(fan in)``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, groups: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.padding, self.groups = (kernel - 1) // 2, groups
        fan = inputs // groups * kernel**2
        self.weight = nn.Parameter(torch.randn(outputs, inputs // groups, kernel, kernel) * gain / fan**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h, w)``."""
        return F.conv2d(x, self.weight.to(x.dtype), padding=self.padding, groups=self.groups)


class GroupedBlock(nn.Module):
    """x + f(x), with f of a 1x1, a grouped 3x3 and a 1x1 convolution.

    The paper starts the last one at zero. Here it starts at a tenth of its gain, so that there is something to measure.
    """

    def __init__(self, width: int, group_size: int, blocks: int) -> None:
        super().__init__()
        hidden = 2 * width
        gain = (2 / (1 + 0.2**2)) ** 0.5 * blocks ** (-1 / 4)
        self.enter = ScaledConv(width, hidden, 1, gain=gain)
        self.grouped = ScaledConv(hidden, hidden, 3, groups=hidden // group_size, gain=gain)
        self.leave = ScaledConv(hidden, width, 1, gain=0.1)
        self.activation1, self.activation2 = BiasedLeakyReLU(hidden), BiasedLeakyReLU(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, width, h, w)`` to the same shape."""
        y = self.enter(x)
        y = self.grouped(self.activation1(y))
        y = self.leave(self.activation2(y))
        output: Tensor = x + y
        return output


class SmoothHalving(nn.Module):
    """Blur by a fixed binomial kernel, each channel alone, with a stride of 2."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", line[None, :] * line[:, None] / 16)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to half the size."""
        kernel = self.kernel.to(x.dtype)[None, None].repeat(x.shape[1], 1, 1, 1)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class R3GAN(nn.Module):
    """Huang et al. 2024 (arXiv:2501.05441), section 3: grouped residual blocks, at a third of its width."""

    def __init__(self, width: int = 256, group_size: int = 16, blocks_per_stage: int = 2) -> None:
        super().__init__()
        self.extract = ScaledConv(3, width, 1)
        layers: list[nn.Module] = []
        for stage in range(5):
            if stage:
                layers += [SmoothHalving()]
            layers += [GroupedBlock(width, group_size, 5 * blocks_per_stage) for _ in range(blocks_per_stage)]
        self.main = nn.Sequential(*layers)
        self.basis = nn.Conv2d(width, width, 4, groups=width, bias=False)
        self.linear = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to ``(n,)``."""
        x = self.main(self.extract(x.to(torch.float32)))
        output: Tensor = self.linear(self.basis(x).view(x.shape[0], -1)).view(x.shape[0])
        return output
