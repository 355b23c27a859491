"""Discriminators with equalised learning rates and a minibatch standard deviation: ProGAN and StyleGAN2."""

from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualizedConv2d(nn.Module):
    """Karras et al. 2017 (arXiv:1710.10196), section 4.1: the input is scaled by He's constant, the bias is not."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        self.scale = sqrt(2 / (inputs * kernel**2))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h', w')``."""
        output: Tensor = self.conv(x * self.scale) + self.bias.view(1, self.bias.shape[0], 1, 1)
        return output


class ProGAN(nn.Module):
    """Karras et al. 2017 (arXiv:1710.10196), Table 2, the part of 64x64 after its layers have been faded in."""

    def __init__(self, channels: tuple[int, ...] = (256, 512, 512, 512, 512)) -> None:
        super().__init__()
        self.leaky = nn.LeakyReLU(0.2)
        self.from_rgb = EqualizedConv2d(3, channels[0], 1)
        self.first = nn.ModuleList(EqualizedConv2d(a, a, 3, 1) for a in channels[:-1])
        self.second = nn.ModuleList(EqualizedConv2d(a, b, 3, 1) for a, b in pairwise(channels))
        self.down = nn.AvgPool2d(kernel_size=2, stride=2)
        last = channels[-1]
        self.final = nn.Sequential(
            EqualizedConv2d(last + 1, last, 3, 1),
            nn.LeakyReLU(0.2),
            EqualizedConv2d(last, last, 4),
            nn.LeakyReLU(0.2),
            EqualizedConv2d(last, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to ``(n, 1)``."""
        x = self.leaky(self.from_rgb(x))
        for first, second in zip(self.first, self.second, strict=True):
            x = self.leaky(second(self.leaky(first(x))))
            x = self.down(x)
        deviation = torch.std(x, dim=0, unbiased=False).mean().repeat(x.shape[0], 1, x.shape[2], x.shape[3])
        output: Tensor = self.final(torch.cat([x, deviation], dim=1)).view(x.shape[0], -1)
        return output


class BiasedConv2d(nn.Module):
    """Karras et al. 2019 (arXiv:1912.04958): blur, convolve by the scaled weight, bias, leaky ReLU."""

    blur: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, halves: bool = False, linear: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.halves, self.linear = halves, linear
        self.padding = kernel // 2
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.weight_gain = 1 / sqrt(inputs * kernel**2)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        line = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("blur", line.outer(line) / line.sum() ** 2)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, ...)``; ``gain`` multiplies the output."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        if self.halves:
            blur = self.blur.to(x.dtype).flip([0, 1])[None, None].repeat([x.shape[1], 1, 1, 1])
            pad = self.padding + 1
            x = F.conv2d(F.pad(x, [pad, pad, pad, pad]), blur, groups=x.shape[1])
            x = F.conv2d(x, weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=self.padding)
        if self.bias is not None:
            x = x + self.bias.to(x.dtype).reshape([-1 if i == 1 else 1 for i in range(x.ndim)])
        return x * gain if self.linear else F.leaky_relu(x, 0.2) * (sqrt(2) * gain)


class BiasedLinear(nn.Module):
    """A linear layer by the scaled weight, and sqrt(2) leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, linear: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(outputs, inputs)), nn.Parameter(torch.zeros(outputs))
        self.weight_gain, self.linear = 1 / sqrt(inputs), linear

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs)`` to ``(n, outputs)``."""
        weight = self.weight.to(x.dtype) * self.weight_gain
        if self.linear:
            return torch.addmm(self.bias.unsqueeze(0), x, weight.t())
        return F.leaky_relu(x.matmul(weight.t()) + self.bias, 0.2) * sqrt(2)


class StyleGAN2Block(nn.Module):
    """Two convolutions, the second halving, and a halving 1x1 shortcut, each over sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = BiasedConv2d(inputs, inputs, 3)
        self.conv1 = BiasedConv2d(inputs, outputs, 3, halves=True)
        self.skip = BiasedConv2d(inputs, outputs, 1, halves=True, linear=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h / 2, w / 2)``."""
        assert x.dtype in (torch.float16, torch.float32)
        y = self.skip(x, gain=sqrt(0.5))
        x = self.conv1(self.conv0(x), gain=sqrt(0.5))
        return y.add_(x)


class MinibatchStd(nn.Module):
    """Append the standard deviation over each group of samples, a mean over features and pixels."""

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c + 1, h, w)``."""
        n, c, height, width = x.shape
        group = min(self.group, n) if n % self.group == 0 or n < self.group else n
        y = x.reshape(group, -1, 1, c, height, width)
        y = y - y.mean(dim=0)
        y = (y.square().mean(dim=0) + 1e-8).sqrt()
        y = y.mean(dim=[2, 3, 4]).reshape(-1, 1, 1, 1).repeat(group, 1, height, width)
        return torch.cat([x, y], dim=1)


class StyleGAN2(nn.Module):
    """Karras et al. 2019 (arXiv:1912.04958), the residual discriminator of 64x64 with half of the paper's channels."""

    def __init__(self, channels: tuple[int, ...] = (128, 256, 512, 512, 512)) -> None:
        super().__init__()
        self.from_rgb = BiasedConv2d(3, channels[0], 1)
        self.blocks = nn.ModuleList(StyleGAN2Block(a, b) for a, b in pairwise(channels))
        last = channels[-1]
        self.mbstd = MinibatchStd()
        self.conv = BiasedConv2d(last + 1, last, 3)
        self.fc = BiasedLinear(16 * last, last)
        self.out = BiasedLinear(last, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to ``(n, 1)``."""
        x = self.from_rgb(x.to(torch.float32))
        for block in self.blocks:
            x = block(x)
        x = self.fc(self.conv(self.mbstd(x)).flatten(1))
        output: Tensor = self.out(x)
        assert output.dtype == torch.float32
        return output
