"""Plain PyTorch training loops of GAN, WGAN, WGAN-GP, SN-GAN and of a classifier, to compare our step with.

Each loop of a GAN makes two passes through the discriminator, one with real and one with generated samples. It uses
torch's optimisers with the paper's numbers, and new noise for each update, as in the papers' algorithms. Two savings
are made: samples for the discriminator are generated without a graph, and the discriminator's parameters need no
gradient during the generator's update.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, relu

from lipschitz.models.base import Networks
from lipschitz.random_streams import stream

Optimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Loop(ABC):
    """Alternate updates of discriminator and generator on batches of ``images``, uint8 ``(n, c, h, w)``.

    Noise and batches come from the package's random streams, so they equal those of a task with the same seed.
    """

    def __init__(self, networks: Networks, images: Tensor, batch_size: int, optimiser: Optimiser) -> None:
        self.generator, self.discriminator, self.latent = networks
        self.images, self.batch_size = images, batch_size
        # A library may keep singular vectors as parameters without gradient.
        self.weights = [parameter for parameter in self.discriminator.parameters() if parameter.requires_grad]
        self.discriminator_optimiser = optimiser(self.weights)
        self.generator_optimiser = optimiser(self.generator.parameters())
        names = ("data", "latents_discriminator", "latents_generator", "constraint")
        self.rng = {name: stream(0, name, images.device) for name in names}

    def step(self) -> None:
        """Make one update of each network."""
        self.discriminator_step()
        self.generator_step()

    def discriminator_step(self) -> None:
        """Make one update of the discriminator on a batch of real and a batch of generated samples."""
        rng = self.rng["data"]
        index = torch.randint(len(self.images), (self.batch_size,), generator=rng, device=self.images.device)
        real = self.images[index].float() / 127.5 - 1
        with torch.no_grad():
            fake = self.generator(self.noise("latents_discriminator"))
        self.discriminator_optimiser.zero_grad()
        self.discriminator_loss(real, fake).backward()
        self.discriminator_optimiser.step()

    def generator_step(self) -> None:
        """Make one update of the generator."""
        for weight in self.weights:
            weight.requires_grad_(False)
        self.generator_optimiser.zero_grad()
        self.generator_loss(self.discriminator(self.generator(self.noise("latents_generator")))).backward()
        self.generator_optimiser.step()
        for weight in self.weights:
            weight.requires_grad_(True)

    def noise(self, name: str) -> Tensor:
        """Return a batch of Gaussian latents ``(n, latent)``."""
        return torch.randn(self.batch_size, self.latent, generator=self.rng[name], device=self.images.device)

    @abstractmethod
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss, given real and generated samples ``(n, c, h, w)``."""

    def generator_loss(self, output: Tensor) -> Tensor:
        """Return the generator's loss, given D(G(z)) ``(n, 1)``."""
        return -output.mean()


class GAN(Loop):
    """Goodfellow et al. 2014 (arXiv:1406.2661), Algorithm 1, the generator maximising log D(G(z))."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the cross-entropy of classifying real and generated samples."""
        on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        real_loss = binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
        return real_loss + binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))

    def generator_loss(self, output: Tensor) -> Tensor:
        """Return the cross-entropy of generated samples labelled as real."""
        return binary_cross_entropy_with_logits(output, torch.ones_like(output))


class SNGAN(Loop):
    """Miyato et al. 2018 (arXiv:1802.05957), eq. 16-17: hinge loss, for a spectrally normalised discriminator."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the hinge loss."""
        return relu(1 - self.discriminator(real)).mean() + relu(1 + self.discriminator(fake)).mean()


class WGAN(Loop):
    """Arjovsky et al. 2017 (arXiv:1701.07875), Algorithm 1 with one critic update: weights clipped to [-0.01, 0.01]."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the difference of means."""
        return self.discriminator(fake).mean() - self.discriminator(real).mean()

    def discriminator_step(self) -> None:
        """Make one update of the critic, and clip its weights."""
        super().discriminator_step()
        self.clip()

    @torch.no_grad()
    def clip(self) -> None:
        """Clamp every parameter of the critic."""
        for weight in self.weights:
            weight.clamp_(-0.01, 0.01)


class WGANGP(Loop):
    """Gulrajani et al. 2017 (arXiv:1704.00028), Algorithm 1 with one critic update, λ = 10."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the difference of means plus the gradient penalty at interpolates."""
        epsilon = torch.rand(len(real), 1, 1, 1, generator=self.rng["constraint"], device=real.device)
        between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        penalty = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return self.discriminator(fake).mean() - self.discriminator(real).mean() + 10 * penalty


class Classifier:
    """Train ``net`` with cross-entropy on batches of ``images``, uint8 ``(n, c, h, w)``, and int64 ``labels`` ``(n,)``.

    ``order``, int64 rows of the images, was shuffled before; a batch is the next rows of it.
    """

    def __init__(
        self, net: nn.Module, images: Tensor, labels: Tensor, order: Tensor, batch_size: int, optimiser: Optimiser
    ) -> None:
        if len(order) % batch_size:
            raise ValueError(f"expected an order of whole batches of {batch_size}, got {len(order)} rows")
        self.classifier, self.images, self.labels = net, images, labels
        self.order, self.batch_size, self.place = order, batch_size, 0
        self.optimiser = optimiser(net.parameters())

    def step(self) -> None:
        """Make one update."""
        index = self.order[self.place : self.place + self.batch_size]
        self.place = (self.place + self.batch_size) % len(self.order)
        images = self.images[index].float() / 127.5 - 1
        self.optimiser.zero_grad()
        cross_entropy(self.classifier(images), self.labels[index]).backward()
        self.optimiser.step()
