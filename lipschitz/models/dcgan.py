"""DCGAN: the standard CNN of SN-GAN, for square images whose size is a multiple of 8."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from lipschitz.config import Width
from lipschitz.models.activations import Activation, activation, check_activation
from lipschitz.models.base import Networks, check_square
from lipschitz.models.conditional import ConditionalModel, add_output_layer, batch_norm, sequential_class
from lipschitz.models.initialisation import DiscriminatorInit, GeneratorInit, initialise


class DCGAN(ConditionalModel):
    """Standard CNN of SN-GAN (Miyato et al. 2018); batch normalization in the generator, none in the discriminator."""

    source = "Miyato et al. 2018, arXiv:1802.05957, Table 3"
    kind = "images"

    width: Width = 64
    """Channels of the discriminator's first and the generator's last block; the widest blocks have 8 times as many."""
    latent: Width = 128
    """Dimension of the generator's Gaussian input."""
    activation: Activation = "leaky_relu"
    """Activation function of the discriminator; the generator uses ReLU."""
    init: DiscriminatorInit = "he"
    """Initial weights of the discriminator. The released code of DCGAN, WGAN and SN-GAN starts from ``normal``."""
    generator_init: GeneratorInit = "he"
    """Initial weights of the generator."""

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
        net = sequential(
            OrderedDict(
                dense=nn.Linear(self.latent, widths[0] * smallest**2),
                unflatten=nn.Unflatten(1, (widths[0], smallest, smallest)),
                blocks=sequential(*(_upsample(a, b, classes) for a, b in pairwise(widths))),
                output=nn.Conv2d(self.width, channels, 3, padding=1),
                tanh=nn.Tanh(),
            )
        )
        initialise(net, "relu", self.generator_init)
        return net

    def _discriminator(self, channels: int, smallest: int, classes: int | None) -> nn.Module:
        w = self.width
        # (channels, stride); kernels are 3x3 for stride 1 and 4x4 for stride 2.
        plan = [(w, 1), (w, 2), (2 * w, 1), (2 * w, 2), (4 * w, 1), (4 * w, 2), (8 * w, 1)]
        inputs = [channels] + [width for width, _ in plan]
        blocks = [self._block(i, o, stride) for i, (o, stride) in zip(inputs, plan, strict=False)]
        body = OrderedDict[str, nn.Module](blocks=nn.Sequential(*blocks), flatten=nn.Flatten())
        net = add_output_layer(body, nn.Linear(8 * w * smallest**2, 1), classes)
        initialise(net, self.activation, self.init)
        return net

    def _block(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, 3 if stride == 1 else 4, stride, padding=1)
        return nn.Sequential(OrderedDict(conv=conv, norm=nn.Identity(), activation=activation(self.activation)))


def _upsample(inputs: int, outputs: int, classes: int | None) -> nn.Module:
    deconv = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
    return sequential_class(classes)(
        OrderedDict(deconv=deconv, norm=batch_norm(outputs, classes), activation=nn.ReLU())
    )
