"""DCGAN: the standard CNN of SN-GAN, for square images whose size is a multiple of 8."""

from collections import OrderedDict
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import nn

from lipschitz.config import Width
from lipschitz.models.activations import NEGATIVE_SLOPE, Activation, activation, check_activation
from lipschitz.models.base import Networks, check_square
from lipschitz.models.conditional import ConditionalModel, add_output_layer, batch_norm, sequential_class
from lipschitz.models.dropout import Dropout, Rate
from lipschitz.models.initialisation import DiscriminatorInit, GeneratorInit, initialise


class Layout(NamedTuple):
    """What the two descriptions of the standard CNN differ in."""

    discriminator: tuple[tuple[int, int], ...]
    """For each convolution: its outputs in multiples of the width, and its stride; 3x3 for stride 1, 4x4 for stride 2.
    """
    negative_slope: float
    """Negative slope of the discriminator's leaky ReLU."""
    init: Literal["he", "normal"]
    """Initial weights of both networks."""
    norm_after_dense: bool
    """Whether the generator normalises the units of its dense layer."""


LAYOUTS = {
    "table_3": Layout(((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1)), NEGATIVE_SLOPE, "he", False),
    "code": Layout(((1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)), 0.2, "normal", True),
}
"""Table 3 of Miyato et al. 2018, which states no initial weights; and chainer-gan-lib, to which the authors' repository
points for this network."""


class DCGAN(ConditionalModel):
    """Standard CNN of SN-GAN (Miyato et al. 2018); batch normalization in the generator, none in the discriminator."""

    source = "Miyato et al. 2018, arXiv:1802.05957, Table 3; code: pfnet-research/chainer-gan-lib, common/net.py"
    kind = "images"

    layout: Literal["table_3", "code"] = "table_3"
    """``table_3``: the paper's table. ``code``: the released code, whose discriminator widens at each convolution of
    stride 2, with leaky ReLU of slope 0.2, batch normalization after the generator's dense layer, and N(0, 0.02²)."""
    width: Width = 64
    """Channels of the discriminator's first and the generator's last block; the widest blocks have 8 times as many."""
    latent: Width = 128
    """Dimension of the generator's Gaussian input."""
    activation: Activation = "leaky_relu"
    """Activation function of the discriminator; the generator uses ReLU."""
    init: DiscriminatorInit | None = None
    """Initial weights of the discriminator; null for the layout's own, ``he`` of table_3 and ``normal`` of code."""
    generator_init: GeneratorInit | None = None
    """Initial weights of the generator; null for the layout's own."""
    dropout: Rate = 0.0
    """Share of the values after each of the discriminator's convolutions that is dropped in training."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is ``(c, s, s)`` with s a multiple of 8."""
        check_square(self.name(), shape, 8)
        check_activation(self.activation, self.width)

    def build(self, shape: tuple[int, ...], classes: int | None = None) -> Networks:
        """Build the pair for images of ``shape`` ``(c, s, s)``, s a multiple of 8."""
        self.check(shape)
        channels, size, _ = shape
        generator = self._generator(channels, size // 8, self.classes_if_conditional(classes))
        return Networks(generator, self.build_discriminator(shape, classes), self.latent)

    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the discriminator for images of ``shape`` ``(c, s, s)``, s a multiple of 8."""
        self.check(shape)
        channels, size, _ = shape
        return self._discriminator(channels, size // 8, self.classes_if_conditional(classes))

    def _generator(self, channels: int, smallest: int, classes: int | None) -> nn.Module:
        widths = [8 * self.width, 4 * self.width, 2 * self.width, self.width]
        sequential = sequential_class(classes)
        units, layout = widths[0] * smallest**2, LAYOUTS[self.layout]
        first: dict[str, nn.Module] = {"dense": nn.Linear(self.latent, units)}
        if layout.norm_after_dense:
            first |= {"norm": nn.BatchNorm1d(units), "activation": nn.ReLU()}
        net = sequential(
            OrderedDict(
                **first,
                unflatten=nn.Unflatten(1, (widths[0], smallest, smallest)),
                blocks=sequential(*(_upsample(a, b, classes) for a, b in pairwise(widths))),
                output=nn.Conv2d(self.width, channels, 3, padding=1),
                tanh=nn.Tanh(),
            )
        )
        initialise(net, "relu", self.generator_init or layout.init)
        return net

    def _discriminator(self, channels: int, smallest: int, classes: int | None) -> nn.Module:
        layout = LAYOUTS[self.layout]
        widths = [channels] + [times * self.width for times, _ in layout.discriminator]
        strides = [stride for _, stride in layout.discriminator]
        blocks = [self._block(i, o, stride) for (i, o), stride in zip(pairwise(widths), strides, strict=True)]
        body = OrderedDict[str, nn.Module](blocks=nn.Sequential(*blocks), flatten=nn.Flatten())
        net = add_output_layer(body, nn.Linear(widths[-1] * smallest**2, 1), classes)
        initialise(net, self.activation, self.init or layout.init, layout.negative_slope)
        return net

    def _block(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, 3 if stride == 1 else 4, stride, padding=1)
        function = activation(self.activation, outputs, LAYOUTS[self.layout].negative_slope)
        block = OrderedDict[str, nn.Module](conv=conv, norm=nn.Identity(), activation=function)
        return nn.Sequential(block | ({"dropout": Dropout(self.dropout)} if self.dropout else {}))


def _upsample(inputs: int, outputs: int, classes: int | None) -> nn.Module:
    deconv = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
    return sequential_class(classes)(
        OrderedDict(deconv=deconv, norm=batch_norm(outputs, classes), activation=nn.ReLU())
    )
