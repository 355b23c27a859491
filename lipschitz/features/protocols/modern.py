"""The protocol of FID with 50,000 images in use today."""

from lipschitz.datasets.images.image_data import SplitName
from lipschitz.features.protocols.base import AtLeastTwo, Protocol


class Modern(Protocol):
    """FID of 50,000 generated against 50,000 training images; Inception Score of the same in ten parts."""

    source = "Heusel et al. 2017, arXiv:1706.08500, at the sizes in use since"

    split: SplitName = "train"
    n_real: AtLeastTwo = 50_000
    n_fake: AtLeastTwo = 50_000
