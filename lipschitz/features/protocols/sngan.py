"""SN-GAN's protocol of FID and Inception Score."""

from lipschitz.datasets.images.image_data import SplitName
from lipschitz.features.protocols.base import AtLeastTwo, Protocol


class SNGAN(Protocol):
    """FID of 5,000 generated against 10,000 test images; Inception Score of ten sets of 5,000.

    The paper's network ran in TensorFlow, whose resize is that of ``preprocessing: torch_fidelity``.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, section 4 and appendix B.1"
    sets = 10

    split: SplitName = "held_out"
    n_real: AtLeastTwo = 10_000
    n_fake: AtLeastTwo = 5_000
