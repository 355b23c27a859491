"""ResNet: the residual networks of SN-GAN for small images, optionally class-conditional and with self-attention."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import nn

from lipschitz.config import Pixels, Width
from lipschitz.models.activations import Activation, activation, check_activation
from lipschitz.models.base import Networks, check_square
from lipschitz.models.conditional import ConditionalModel, add_output_layer, sequential_class
from lipschitz.models.initialisation import DiscriminatorInit, GeneratorInit
from lipschitz.models.residual import (
    MeanPool,
    SelfAttention,
    SumPool,
    down_block,
    first_block,
    initialise_residual,
    up_block,
)


class Stages(NamedTuple):
    """Widths of a ResNet pair in multiples of a base width, and the downsampling of the discriminator."""

    generator: tuple[int, ...]
    """Width of the dense layer's map, then of each block's output; every block doubles the map's size."""
    discriminator: tuple[tuple[int, bool], ...]
    """For each block: width of its output, and whether it halves the map's size."""
    width: int
    """The published base width."""

    @property
    def size_multiple(self) -> int:
        """The image size must be a multiple of this, so that the sizes of all maps are integers."""
        halvings = sum(down for _, down in self.discriminator)
        return int(2 ** max(len(self.generator) - 1, halvings))


LAYOUTS = {
    "table_4": Stages((2, 2, 2, 2), ((1, True), (1, True), (1, False), (1, False)), 128),
    "table_5": Stages((8, 4, 2, 1), ((1, True), (2, True), (4, True), (8, True), (16, False)), 64),
    "snresnet_64": Stages((16, 8, 4, 2, 1), ((1, True), (2, True), (4, True), (8, True), (16, True)), 64),
}
"""Miyato et al. 2018: Table 4 for CIFAR-10 (32x32), Table 5 for STL-10 (48x48); snresnet_64 of the authors' code
sngan_projection, for 64x64."""


class ResNet(ConditionalModel):
    """ResNet pair of SN-GAN (Miyato et al. 2018); batch normalization in the generator, none in the discriminator.

    The discriminator's ``norm`` slots are before the activations, like the generator's batch normalization.
    """

    source = (
        "Miyato et al. 2018, arXiv:1802.05957, Tables 4-5; attention: Zhang et al. 2019, arXiv:1805.08318; "
        "conditional: Miyato and Koyama 2018, arXiv:1802.05637"
    )
    residual = True
    kind = "images"

    layout: Literal["auto", "table_4", "table_5", "snresnet_64"] = "auto"
    """Widths and depth, from Table 4 (CIFAR-10) or Table 5 (STL-10) of SN-GAN, or from the authors' code for 64x64;
    ``auto``: table_4 up to 32x32, table_5 for 48x48, snresnet_64 for 64x64."""
    width: Width | None = None
    """Channels of the discriminator's first block; null for the published 128 (Table 4) or 64."""
    latent: Width = 128
    """Dimension of the generator's Gaussian input."""
    activation: Activation = "relu"
    """Activation function of the discriminator; the generator uses ReLU."""
    init: DiscriminatorInit | None = None
    """Initial weights of the discriminator; null for ``glorot``, which has gain √2 in residual branches, as published.
    """
    generator_init: GeneratorInit | None = None
    """Initial weights of the generator; null for ``glorot``."""
    output_bias: bool = True
    """Whether the discriminator's last layer has a bias; that of the authors' network for 32x32 images has none."""
    pooling: Literal["sum", "mean"] = "sum"
    """Global pooling before the discriminator's last layer; the authors' code sums."""
    special_first_block: bool = True
    """Whether the discriminator's first block is that of the authors' code: no activation before its first convolution,
    and a shortcut that pools first."""
    attention: Pixels | None = None
    """Size in pixels of the maps to which both networks apply self-attention; null for no self-attention."""
    attention_layout: Literal["paper", "code"] = "paper"
    """``paper``: the values have C/8 channels. ``code``: C/2, and keys and values are max-pooled, as released."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is ``(c, s, s)``, s a multiple of 8 (Table 4), 16 (Table 5) or 32."""
        layout = self._layout(shape)
        check_square(self.name(), shape, layout.size_multiple)
        check_activation(self.activation, self.width or layout.width)
        if not self.special_first_block:
            # The first activation is applied to the image itself.
            check_activation(self.activation, shape[0])
        sizes = [
            size
            for size in _generator_map_sizes(layout, shape[-1])
            if size in _discriminator_map_sizes(layout, shape[-1])
        ]
        if self.attention is not None and self.attention not in sizes:
            raise ValueError(
                f"attention on maps of {self.attention}x{self.attention} pixels, but the two networks do not both have "
                f"such maps; allowed: {', '.join(map(str, sizes))}"
            )

    def build(self, shape: tuple[int, ...], classes: int | None = None) -> Networks:
        """Build the pair for images of ``shape`` ``(c, s, s)``."""
        self.check(shape)
        generator = self._generator(self._layout(shape), shape, self.classes_if_conditional(classes))
        return Networks(generator, self.build_discriminator(shape, classes), self.latent)

    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the discriminator for images of ``shape`` ``(c, s, s)``."""
        self.check(shape)
        layout, width = self._layout(shape), self._width(shape)
        widths = [shape[0]] + [times * width for times, _ in layout.discriminator]
        blocks: list[nn.Module] = []
        for (inputs, outputs), (_, down) in zip(pairwise(widths), layout.discriminator, strict=True):
            if not blocks and self.special_first_block:
                blocks.append(first_block(inputs, outputs, self.activation))
            else:
                blocks.append(down_block(inputs, outputs, self.activation, down=down))
        blocks = self._with_attention(blocks, _discriminator_map_sizes(layout, shape[-1]), widths[1:])
        pool = SumPool() if self.pooling == "sum" else MeanPool()
        last = activation(self.activation, widths[-1])
        body = OrderedDict[str, nn.Module](blocks=nn.Sequential(*blocks), activation=last, pool=pool)
        output = nn.Linear(widths[-1], 1, bias=self.output_bias)
        net = add_output_layer(body, output, self.classes_if_conditional(classes))
        initialise_residual(net, self.activation, self.init or "glorot")
        return net

    def _generator(self, layout: Stages, shape: tuple[int, ...], classes: int | None) -> nn.Module:
        widths = [times * self._width(shape) for times in layout.generator]
        smallest = shape[-1] >> (len(widths) - 1)
        blocks = self._with_attention(
            [up_block(inputs, outputs, classes) for inputs, outputs in pairwise(widths)],
            _generator_map_sizes(layout, shape[-1]),
            widths[1:],
        )
        sequential = sequential_class(classes)
        net = sequential(
            OrderedDict(
                dense=nn.Linear(self.latent, widths[0] * smallest**2),
                unflatten=nn.Unflatten(1, (widths[0], smallest, smallest)),
                blocks=sequential(*blocks),
                norm=nn.BatchNorm2d(widths[-1]),
                activation=nn.ReLU(),
                output=nn.Conv2d(widths[-1], shape[0], 3, padding=1),
                tanh=nn.Tanh(),
            )
        )
        initialise_residual(net, "relu", self.generator_init or "glorot")
        return net

    def _with_attention(
        self, blocks: Sequence[nn.Module], sizes: Sequence[int], widths: Sequence[int]
    ) -> list[nn.Module]:
        """Insert self-attention after the first of ``blocks`` whose map has the size ``attention``."""
        found = list(blocks)
        if self.attention is not None:
            at = sizes.index(self.attention)
            found.insert(at + 1, SelfAttention(widths[at], as_released=self.attention_layout == "code"))
        return found

    def _layout(self, shape: tuple[int, ...]) -> Stages:
        if self.layout != "auto":
            return LAYOUTS[self.layout]
        size = shape[-1]
        if size > 32 and size not in (48, 64):
            raise ValueError(
                f"resnet has no published layout for {size}x{size}; allowed: up to 32x32, 48x48, 64x64, or a layout"
            )
        return LAYOUTS[{48: "table_5", 64: "snresnet_64"}.get(size, "table_4")]

    def _width(self, shape: tuple[int, ...]) -> int:
        return self.width or self._layout(shape).width


def _generator_map_sizes(layout: Stages, size: int) -> list[int]:
    """Return the map size after each block of the generator, for images of ``size`` pixels."""
    blocks = len(layout.generator) - 1
    return [size >> (blocks - 1 - index) for index in range(blocks)]


def _discriminator_map_sizes(layout: Stages, size: int) -> list[int]:
    """Return the map size after each block of the discriminator, for images of ``size`` pixels."""
    sizes = []
    for _, down in layout.discriminator:
        size = size // 2 if down else size
        sizes.append(size)
    return sizes
