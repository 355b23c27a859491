"""Discriminators with self-attention: SAGAN by torch's spectral normalization, BigGAN by layers of its own."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DotProductAttention(nn.Module):
    """Zhang et al. 2018 (arXiv:1805.08318), Eqs. 1 to 3: x + γ v softmax(q k), with γ not zero, as after training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = spectral_norm(nn.Conv2d(channels, channels // 8, 1))
        self.key = spectral_norm(nn.Conv2d(channels, channels // 8, 1))
        self.value = spectral_norm(nn.Conv2d(channels, channels, 1))
        self.gamma = nn.Parameter(torch.full((1,), 0.1))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, channels, h, w)`` to the same shape."""
        n, channels, height, width = x.size()
        query = self.query(x).view(n, -1, height * width).permute(0, 2, 1)
        weights = self.softmax(torch.bmm(query, self.key(x).view(n, -1, height * width)))
        out = torch.bmm(self.value(x).view(n, -1, height * width), weights.permute(0, 2, 1))
        output: Tensor = self.gamma * out.view(n, channels, height, width) + x
        return output


class SAGAN(nn.Module):
    """Zhang et al. 2018 (arXiv:1805.08318): strided convolutions for 64x64, spectral normalization, attention twice."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        stages = [
            nn.Sequential(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.1)) for a, b in pairwise(widths)
        ]
        self.l1, self.l2, self.l3, self.l4 = stages
        self.attn1, self.attn2 = DotProductAttention(4 * width), DotProductAttention(8 * width)
        self.last = spectral_norm(nn.Conv2d(8 * width, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, 64, 64)`` to ``(n,)``."""
        out = self.attn1(self.l3(self.l2(self.l1(x))))
        out = self.last(self.attn2(self.l4(out)))
        output: Tensor = out.squeeze()
        return output


class Normalized:
    """Divide the weight by σ in every forward pass, by one power iteration whose vector is kept in train mode."""

    weight: Tensor
    u: Tensor
    training: bool

    def normalized_weight(self) -> Tensor:
        """Return weight / σ, with the gradient of σ."""
        matrix = self.weight.view(self.weight.size(0), -1)
        with torch.no_grad():
            v = F.normalize(torch.matmul(self.u, matrix), eps=1e-12)
            u = F.normalize(torch.matmul(v, matrix.t()), eps=1e-12)
            if self.training:
                self.u[:] = u
        sigma = torch.squeeze(torch.matmul(torch.matmul(v, matrix.t()), u.t()))
        return self.weight / sigma


class NormalizedConv2d(nn.Conv2d, Normalized):
    """A convolution by the weight over its σ."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int = 0, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=padding, bias=bias)
        self.register_buffer("u", torch.randn(1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h', w')``."""
        weight = self.normalized_weight()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormalizedLinear(nn.Linear, Normalized):
    """A linear layer by the weight over its σ."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("u", torch.randn(1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs)`` to ``(n, outputs)``."""
        return F.linear(x, self.normalized_weight(), self.bias)


class NormalizedEmbedding(nn.Embedding, Normalized):
    """An embedding of the table over its σ."""

    def __init__(self, classes: int, outputs: int) -> None:
        super().__init__(classes, outputs)
        self.register_buffer("u", torch.randn(1, classes))

    def forward(self, y: Tensor) -> Tensor:
        """Map ``(n,)`` to ``(n, outputs)``."""
        return F.embedding(y, self.normalized_weight())


class PooledAttention(nn.Module):
    """Brock et al. 2018 (arXiv:1809.11096), appendix B: attention to pooled places; γ is zero, as at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.theta = NormalizedConv2d(channels, channels // 8, 1, bias=False)
        self.phi = NormalizedConv2d(channels, channels // 8, 1, bias=False)
        self.g = NormalizedConv2d(channels, channels // 2, 1, bias=False)
        self.o = NormalizedConv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor(0.0), requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, channels, h, w)`` to the same shape."""
        area = x.shape[2] * x.shape[3]
        theta = self.theta(x).view(-1, self.channels // 8, area)
        phi = F.max_pool2d(self.phi(x), [2, 2]).view(-1, self.channels // 8, area // 4)
        g = F.max_pool2d(self.g(x), [2, 2]).view(-1, self.channels // 2, area // 4)
        beta = F.softmax(torch.bmm(theta.transpose(1, 2), phi), -1)
        pooled = torch.bmm(g, beta.transpose(1, 2)).view(-1, self.channels // 2, x.shape[2], x.shape[3])
        output: Tensor = self.gamma * self.o(pooled) + x
        return output


class BigGANBlock(nn.Module):
    """Two convolutions after ReLU, then mean pooling; the first block has no ReLU at its start."""

    def __init__(self, inputs: int, outputs: int, *, first: bool = False, halves: bool = True) -> None:
        super().__init__()
        self.first, self.halves = first, halves
        self.conv1 = NormalizedConv2d(inputs, outputs, 3, padding=1)
        self.conv2 = NormalizedConv2d(outputs, outputs, 3, padding=1)
        self.learnable_sc = inputs != outputs or halves
        if self.learnable_sc:
            self.conv_sc = NormalizedConv2d(inputs, outputs, 1)
        self.activation = nn.ReLU(inplace=False)

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the other branch."""
        if self.first:
            x = F.avg_pool2d(x, 2) if self.halves else x
            return self.conv_sc(x) if self.learnable_sc else x  # type: ignore[no-any-return]
        x = self.conv_sc(x) if self.learnable_sc else x
        return F.avg_pool2d(x, 2) if self.halves else x

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, ...)``."""
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(self.activation(h))
        if self.halves:
            h = F.avg_pool2d(h, 2)
        output: Tensor = h + self.shortcut(x)
        return output


class BigGAN(nn.Module):
    """Brock et al. 2018 (arXiv:1809.11096), appendix B, for 64x64: spectral normalization, projection of the class."""

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.blocks = nn.ModuleList([BigGANBlock(3, width, first=True), PooledAttention(width)])
        self.blocks.extend(BigGANBlock(a, b) for a, b in pairwise(widths))
        self.blocks.append(BigGANBlock(8 * width, 16 * width, halves=False))
        self.linear = NormalizedLinear(16 * width, 1)
        self.embed = NormalizedEmbedding(classes, 16 * width)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.init.orthogonal_(layer.weight)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map ``(n, 3, 64, 64)`` and classes ``(n,)`` to ``(n, 1)``; without classes there is no projection."""
        h = x
        for block in self.blocks:
            h = block(h)
        h = torch.sum(F.relu(h), [2, 3])
        out = self.linear(h)
        if y is not None:
            out = out + torch.sum(self.embed(y) * h, 1, keepdim=True)
        return out  # type: ignore[no-any-return]


class OfOneClass(nn.Module):
    """A conditional network as a function of the image alone, at one class."""

    def __init__(self, net: nn.Module, label: int = 0) -> None:
        super().__init__()
        self.net, self.label = net, label

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, ...)`` to ``net(x, label)``."""
        output: Tensor = self.net(x, torch.full((x.shape[0],), self.label, dtype=torch.long, device=x.device))
        return output
