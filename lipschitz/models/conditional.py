"""Class-conditional GANs: conditional batch normalization in the generator, projection discriminator."""

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from lipschitz.estimation.fixed_labels import takes_labels
from lipschitz.models.base import PairModel


class ConditionalModel(PairModel):
    """A model whose networks may be conditional on the class of a sample."""

    conditional: bool = False
    """Whether the networks take class labels: conditional batch normalization in the generator, projection
    discriminator (Miyato and Koyama 2018, arXiv:1802.05637)."""

    def is_conditional(self) -> bool:
        """Return whether the networks take the class label of a sample."""
        return self.conditional

    def classes_if_conditional(self, classes: int | None) -> int | None:
        """Return ``classes`` if the model is conditional, else None.

        Raises:
            ValueError: the model is conditional and ``classes`` is None.
        """
        if not self.conditional:
            return None
        if classes is None:
            raise ValueError(f"{self.label()} needs class labels; allowed: data with labels")
        return classes


def call_with_labels(module: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Return ``module(x, labels)`` if the module takes labels ``(n,)``, else ``module(x)``."""
    output: Tensor = module(x, labels) if takes_labels(module) else module(x)
    return output


class LabelledSequential(nn.Sequential):
    """nn.Sequential that also passes class labels to those modules that take them."""

    takes_labels: ClassVar[bool] = True

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Map ``x`` ``(n, ...)`` and int64 labels ``(n,)`` to the last module's output."""
        for module in self:
            x = call_with_labels(module, x, labels)
        return x


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """Conditional batch normalization: gain and shift per class (Dumoulin et al. 2017, arXiv:1610.07629).

    Used in the generator as in Miyato and Koyama 2018 (arXiv:1802.05637, Fig. 14). The gain γ_y is initially one, the
    shift β_y zero.
    """

    takes_labels: ClassVar[bool] = True

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, affine=False)
        self.gain = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise ``x`` ``(n, c, h, w)``, then scale and shift each sample by the parameters of its class."""
        gain, shift = (table.index_select(0, labels)[:, :, None, None] for table in (self.gain, self.shift))
        return gain * super().forward(x) + shift


class ProjectionDiscriminator(nn.Module):
    """Projection discriminator D(x, y) = ψ(φ(x)) + ⟨v_y, φ(x)⟩ (Miyato and Koyama 2018, arXiv:1802.05637, eq. 3).

    The embedding is a linear layer without bias, with one row v_y per class. It computes the inner products with all
    classes, and the output of the sample's class is selected. As a layer, the embedding is subject to constraints and
    to measurements of σ.
    """

    takes_labels: ClassVar[bool] = True

    def __init__(self, features: nn.Module, output: nn.Linear, classes: int) -> None:
        """Take φ ``(n, ...)`` -> ``(n, d)``, ψ ``(n, d)`` -> ``(n, 1)``, and the number of classes."""
        super().__init__()
        self.features = features
        self.output = output
        self.projection = nn.Linear(output.in_features, classes, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map ``x`` ``(n, ...)`` and int64 labels ``(n,)`` to ``(n, 1)``."""
        features = self.features(x)
        output: Tensor = self.output(features) + self.projection(features).gather(1, labels[:, None])
        return output


def sequential_class(classes: int | None) -> type[nn.Sequential]:
    """Return nn.Sequential, or `LabelledSequential` if there are ``classes``."""
    return nn.Sequential if classes is None else LabelledSequential


def add_output_layer(body: OrderedDict[str, nn.Module], output: nn.Linear, classes: int | None) -> nn.Module:
    """Return the discriminator that applies ``body``, then the last layer ``output``.

    If there are ``classes``, it is a `ProjectionDiscriminator`.
    """
    if classes is None:
        return nn.Sequential(OrderedDict(**body, output=output))
    return ProjectionDiscriminator(nn.Sequential(body), output, classes)


def batch_norm(channels: int, classes: int | None) -> nn.BatchNorm2d:
    """Return batch normalization, conditional if there are ``classes``."""
    return nn.BatchNorm2d(channels) if classes is None else ConditionalBatchNorm2d(channels, classes)
