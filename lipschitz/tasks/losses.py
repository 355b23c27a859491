"""Losses of GANs (hinge, Wasserstein, ...) and of classifiers: an axis of a sweep, apart from the constraint."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, relu, softplus

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint

Target = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A number that an output is pulled to."""


class Loss(Config):
    """The loss of a task: a `GANLoss` or a `ClassifierLoss`."""


class GANLoss(Loss):
    """The losses of both networks: scalars, computed from the discriminator's outputs ``(n, 1)`` before any sigmoid.

    A subclass is a class in this module, called ``named``, or a file of yours.
    """

    generator_sees_real: ClassVar[bool] = False
    """Whether `generator` is also given D(real), which costs a forward pass on real samples a generator update."""
    estimates_log_ratio: ClassVar[bool] = False
    """Whether the D that minimises `discriminator` is log p/q, with p the density of real samples and q of others."""

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar, from D(real) and D(generated), ``(n, 1)`` each."""

    @abstractmethod
    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the generator's loss, a scalar, from D(generated), ``(n, 1)``.

        D(real), ``(n, 1)`` without a graph, is passed if the loss sets `generator_sees_real`; others need not take it.
        """


class Hinge(GANLoss):
    """Hinge loss of the discriminator; the generator maximises the discriminator's output."""

    named = "hinge"
    source = "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))."""
        return relu(1 - real).mean() + relu(1 + generated).mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()


class NonSaturating(GANLoss):
    """Cross-entropy; the generator maximises log D(G(z))."""

    named = "non_saturating"
    source = "Goodfellow et al. 2014, arXiv:1406.2661, Sec. 3"
    estimates_log_ratio = True

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(x) - mean log(1 - sigmoid D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -mean log sigmoid D(G(z))."""
        return softplus(-generated).mean()


class Minimax(GANLoss):
    """Cross-entropy; the generator minimises log(1 - D(G(z))), whose gradient vanishes while its samples are bad."""

    named = "minimax"
    source = "Goodfellow et al. 2014, arXiv:1406.2661, eq. 1"
    estimates_log_ratio = True

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(x) - mean log(1 - sigmoid D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return mean log(1 - sigmoid D(G(z)))."""
        return -softplus(generated).mean()


class Wasserstein(GANLoss):
    """Difference of means: for a 1-Lipschitz D the dual form of the Wasserstein-1 distance."""

    named = "wasserstein"
    source = "Arjovsky et al. 2017, arXiv:1701.07875, eq. 2-3"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean D(G(z)) - mean D(x)."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()


class Relativistic(GANLoss):
    """Relativistic pairing loss (RpGAN): cross-entropy of D(x) - D(G(z)), a real sample against a generated one.

    The i-th real sample of a batch is paired with the i-th generated one; in a conditional run both have one class. The
    generator maximises the same difference with its sign reversed. Only differences of outputs count, so D's outputs
    may drift by a common constant. With R1 and R2 (``{zero_centered_penalty: {points: both}}``) this is the objective
    of R3GAN (Huang et al. 2024); without a penalty it need not converge.
    """

    named = "relativistic"
    source = "Jolicoeur-Martineau 2018, arXiv:1807.00734, Sec. 4; Huang et al. 2024, arXiv:2501.05441, eq. 2"
    generator_sees_real = True

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid(D(x) - D(G(z)))."""
        return softplus(generated - real).mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -mean log sigmoid(D(G(z)) - D(x)).

        Raises:
            ValueError: D(real) is missing.
        """
        if real is None:
            raise ValueError("relativistic needs D(real) in the generator's loss, got None")
        return softplus(real - generated).mean()


class LSGAN(GANLoss):
    """Least squares (LSGAN): D's outputs are pulled to one number for real and to another for generated samples."""

    named = "least_squares"
    source = "Mao et al. 2017, arXiv:1611.04076, eq. 2, 9"

    a: Target = 0.0
    """What D(G(z)) is pulled to in the discriminator's loss."""
    b: Target = 1.0
    """What D(x) is pulled to in the discriminator's loss."""
    c: Target = 1.0
    """What D(G(z)) is pulled to in the generator's loss. With a = -1, b = 1, c = 0 (eq. 8) the generator minimises a
    Pearson χ² divergence; the defaults are those of eq. 9."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return 1/2 mean (D(x) - b)² + 1/2 mean (D(G(z)) - a)²."""
        return (real - self.b).square().mean() / 2 + (generated - self.a).square().mean() / 2

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return 1/2 mean (D(G(z)) - c)²."""
        return (generated - self.c).square().mean() / 2


class ClassifierLoss(Loss):
    """The loss of a classifier, computed from its logits.

    A subclass is a class in this module, called ``named``, or a file of yours.
    """

    @abstractmethod
    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each sample, ``(n,)``, from logits ``(n, classes)`` and int64 labels ``(n,)``."""


class CrossEntropy(ClassifierLoss):
    """Cross-entropy of the softmax of the logits times a temperature, divided by that temperature."""

    named = "cross_entropy"
    source = (
        "Béthune et al. 2022, arXiv:2104.05097, for the temperature; Prach and Lampert 2022, arXiv:2208.03160, for the "
        "offset"
    )

    temperature: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """τ. A 1-Lipschitz network has small logits: a larger τ weighs accuracy more, and certified robustness less."""

    offset: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """u, by which the logit of the true class is lowered: a margin that the loss asks for."""

    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return -log softmax(τ (f(x) - u e_y))_y / τ, where e_y is one for the true class and else zero."""
        if self.offset:
            logits = logits - self.offset * one_hot(labels, logits.shape[1])
        if self.temperature == 1:
            return cross_entropy(logits, labels, reduction="none")
        return cross_entropy(self.temperature * logits, labels, reduction="none") / self.temperature


class HingeMargin(ClassifierLoss):
    """Multi-class hinge loss of the margin between the true class's logit and the largest other one."""

    named = "hinge_margin"
    source = (
        "Crammer and Singer 2001, JMLR 2:265-292, eq. 3; for 1-Lipschitz networks: Anil et al. 2019, arXiv:1811.05381"
    )

    margin: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """m, the margin above which a sample has no loss."""

    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return max(0, m - (f_y(x) - max over j != y of f_j(x)))."""
        return relu(self.margin - margins(logits, labels))


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return f_y - max over j != y of f_j, ``(n,)``, of logits ``(n, classes)``: positive where the class is right."""
    column = labels[:, None]
    others = logits.scatter(1, column, -torch.inf)
    return logits.gather(1, column)[:, 0] - others.amax(1)


LOSSES = ExtensionPoint("loss", "losses", "lipschitz.tasks.losses", Loss)
