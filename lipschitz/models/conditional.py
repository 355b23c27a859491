"""What makes a pair of networks conditional on a class: batch normalisation of the class's own, and the projection."""

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from lipschitz.estimation.fixed_labels import takes_labels
from lipschitz.models.base import PairModel


class ConditionalModel(PairModel):
    """A backbone whose networks may take the class of a sample."""

    conditional: bool = False
    """Whether they do: batch normalisation of each class's own in the generator, and projection in the discriminator
    (Miyato and Koyama 2018, arXiv:1802.05637)."""

    def is_conditional(self) -> bool:
        """Say whether the networks take the class of a sample."""
        return self.conditional

    def classes_of(self, classes: int | None) -> int | None:
        """Return the number of classes that the networks are built for: none unless they are conditional.

        Raises:
            ValueError: a conditional model, and no classes.
        """
        if not self.conditional:
            return None
        if classes is None:
            raise ValueError(f"{self.label()} takes the class of each sample; allowed: data with labels")
        return classes


def applied(module: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Call ``module`` on ``x``, with ``labels`` ``(n,)`` where it takes them."""
    output: Tensor = module(x, labels) if takes_labels(module) else module(x)
    return output


class Conditional(nn.Sequential):
    """Modules one after the other, of which those that take labels are given them."""

    takes_labels: ClassVar[bool] = True

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Map ``x`` ``(n, ...)`` and int64 labels ``(n,)`` to the last module's output."""
        for module in self:
            x = applied(module, x, labels)
        return x


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose gain and shift belong to the sample's class (Dumoulin et al. 2017, arXiv:1610.07629).

    As in the generator of Miyato and Koyama 2018 (arXiv:1802.05637, Fig. 14): γ_y starts at one and β_y at zero.
    """

    takes_labels: ClassVar[bool] = True

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, affine=False)
        self.gain = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise ``x`` ``(n, c, h, w)``, then scale and shift each sample by the row of its label."""
        gain, shift = (table.index_select(0, labels)[:, :, None, None] for table in (self.gain, self.shift))
        return gain * super().forward(x) + shift


class Projection(nn.Module):
    """The projection discriminator: D(x, y) = ψ(φ(x)) + ⟨v_y, φ(x)⟩ (Miyato and Koyama 2018, arXiv:1802.05637, eq. 3).

    All inner products are taken by one linear layer without bias, whose rows are the v_y, and each sample picks its
    own. So every constraint, and every measurement of σ, sees the embedding as the layer that it is.
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


def in_turn(classes: int | None) -> type[nn.Sequential]:
    """Return what chains modules: with ``classes`` it hands labels on."""
    return nn.Sequential if classes is None else Conditional


def judging(body: OrderedDict[str, nn.Module], output: nn.Linear, classes: int | None) -> nn.Module:
    """Return the discriminator of the features that ``body`` makes: ``output`` of them, or a `Projection`."""
    if classes is None:
        return nn.Sequential(OrderedDict(**body, output=output))
    return Projection(nn.Sequential(body), output, classes)


def batch_norm(channels: int, classes: int | None) -> nn.BatchNorm2d:
    """Return batch normalisation, of each class's own where there are ``classes``."""
    return nn.BatchNorm2d(channels) if classes is None else ConditionalBatchNorm2d(channels, classes)
