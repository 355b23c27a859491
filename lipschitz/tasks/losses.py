"""GAN losses: an axis of their own, never tied to a constraint."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus


class Loss(NamedTuple):
    """What both players minimise: scalars of the discriminator's outputs ``(n, 1)``, before any sigmoid."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """(D(real), D(generated)) -> the discriminator's loss."""
    generator: Callable[[Tensor], Tensor]
    """D(generated) -> the generator's loss."""
    source: str
    summary: str


LOSSES: dict[str, Loss] = {
    "hinge": Loss(
        lambda real, generated: relu(1 - real).mean() + relu(1 + generated).mean(),
        lambda generated: -generated.mean(),
        "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17",
        "Hinge for the discriminator, its output for the generator.",
    ),
    "non_saturating": Loss(
        lambda real, generated: softplus(-real).mean() + softplus(generated).mean(),
        lambda generated: softplus(-generated).mean(),
        "Goodfellow et al. 2014, arXiv:1406.2661, Sec. 3",
        "Cross-entropy; the generator maximises log D(G(z)).",
    ),
    "minimax": Loss(
        lambda real, generated: softplus(-real).mean() + softplus(generated).mean(),
        lambda generated: -softplus(generated).mean(),
        "Goodfellow et al. 2014, arXiv:1406.2661, eq. 1",
        "Cross-entropy; the generator minimises log(1 - D(G(z))), which vanishes while it is bad.",
    ),
    "wasserstein": Loss(
        lambda real, generated: generated.mean() - real.mean(),
        lambda generated: -generated.mean(),
        "Arjovsky et al. 2017, arXiv:1701.07875, eq. 2-3",
        "Difference of means: the dual of the Wasserstein-1 distance where D is 1-Lipschitz.",
    ),
}
