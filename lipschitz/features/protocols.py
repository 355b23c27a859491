"""By what a published FID, KID or Inception Score was measured: named records, each number carries its own."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from lipschitz.datasets.images import SplitName
from lipschitz.errors import InputError
from lipschitz.records import Record

SPLITS = {"train": "training", "held_out": "held-out"}
"""What a split of the images is called in a sentence."""
PAIRS, SUBSETS, SUBSET_SIZE, NEIGHBOURS = 10_000, 100, 1000, 5
"""Most images of either kind that KID and neighbourhoods compare; subsets of a KID and images in each (Bińkowski et al.
2018, section 4); neighbour to which a ball reaches (Naeem et al. 2020, section 4)."""


NEIGHBOURHOODS = ("precision", "recall", "density", "coverage")
METRICS = ("fid", "inception_score", "kid", *NEIGHBOURHOODS)
"""What every protocol measures."""
_AtLeastTwo = Annotated[int, Field(ge=2)]


class Protocol(Record):
    """How many images of which kind are compared, and how the network sees them.

    Fields make a variant, which is called by them: it never passes for the protocol of that name.
    """

    sets: ClassVar[int] = 1
    """Times ``n_fake`` images that the Inception Score is of."""

    split: SplitName
    """Which real images are the reference."""
    n_real: _AtLeastTwo
    """Real images that the FID compares with: all of a split of that size, else a draw that is always the same."""
    n_fake: _AtLeastTwo
    """Generated images that the FID compares."""
    score_samples: PositiveInt | None = None
    """Generated images of the Inception Score; by default ``n_fake``, for sngan ten times as many."""
    score_splits: PositiveInt = 10
    """Parts into which these are split; the score is the mean over them."""
    preprocessing: Literal["pytorch_fid", "torch_fidelity"] = "pytorch_fid"
    """Whose resize and scaling the network is given images by."""

    @model_validator(mode="after")
    def _is_measurable(self) -> Self:
        if self.pairs <= NEIGHBOURS:
            found = f"n_real {self.n_real} and n_fake {self.n_fake}"
            raise ValueError(f"{found} leave no neighbour {NEIGHBOURS}; allowed: {NEIGHBOURS + 1} or more of either")
        if self.scored < self.score_splits:
            raise ValueError(f"{self.scored} images cannot be split into {self.score_splits} parts")
        return self

    @property
    def other(self) -> SplitName:
        """The split that is no reference: its images are compared with the reference for the floor."""
        return "held_out" if self.split == "train" else "train"

    @property
    def scored(self) -> int:
        """Generated images of the Inception Score."""
        return self.score_samples or self.sets * self.n_fake

    @property
    def generated(self) -> int:
        """Generated images that it takes, in all."""
        return max(self.n_fake, self.scored)

    @property
    def pairs(self) -> int:
        """Images of either kind that KID, precision, recall, density and coverage compare."""
        return min(self.n_real, self.n_fake, PAIRS)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names under which its numbers are recorded; the FID comes first."""
        return tuple(f"{name}/{self.label()}" for name in METRICS)

    def check(self, dataset: str, sizes: Mapping[str, int]) -> None:
        """Refuse data that have too few real images; ``sizes`` are numbers of images by split.

        Raises:
            InputError: says which protocol needs how many of which split.
        """
        # Real images of the other split are compared with the reference, too.
        for split, needed in {self.split: self.n_real, self.other: max(NEIGHBOURS + 1, self.score_splits)}.items():
            if (found := sizes[split]) < needed:
                variant = f"; allowed: a variant, such as {{{self.name()}: {{n_real: {found}}}}}"
                raise InputError(
                    f"{dataset}: protocol {self.label()} needs {needed:,} {SPLITS[split]} images, found {found:,}"
                    + (variant if split == self.split and found > NEIGHBOURS else "")
                )

    def facts(self, sha256: str, floor: int) -> dict[str, dict[str, Any]]:
        """Return, by recorded name, what the number depends on besides the images.

        ``sha256`` is that of the network's weights; ``floor`` counts the real images of the other split that stand
        where generated ones do in the floor.
        """
        network: dict[str, Any] = {
            "protocol": self.label(),
            "features": f"Inception network of the FID (2015), SHA-256 {sha256[:12]}",
            "preprocessing": self.preprocessing,
            "quantisation": "8 bit",
        }
        reference = {"reference": f"{SPLITS[self.split]} images"}
        score = {"n_fake": self.scored, "splits": self.score_splits, "n_floor": min(self.scored, floor)}
        compared = {"n_real": self.pairs, "n_fake": self.pairs, "n_floor": min(self.pairs, floor)}
        subsets = {"subsets": SUBSETS, "subset_size": SUBSET_SIZE} if self.pairs > SUBSET_SIZE else {"subsets": 1}
        own: dict[str, dict[str, Any]] = {
            "fid": {**reference, "n_real": self.n_real, "n_fake": self.n_fake, "n_floor": min(self.n_fake, floor)},
            "inception_score": {"layer": "1,008 classes without bias", **score},
            "kid": {**reference, **compared, **subsets},
        }
        own |= {name: {**reference, **compared, "neighbour": NEIGHBOURS} for name in NEIGHBOURHOODS}
        return {f"{name}/{self.label()}": network | own[name] for name in METRICS}


class SNGAN(Protocol):
    """FID of 5,000 generated against 10,000 test images; Inception Score of ten sets of 5,000.

    The paper's network ran in TensorFlow, whose resize is that of ``preprocessing: torch_fidelity``.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, section 4 and appendix B.1"
    sets = 10

    split: SplitName = "held_out"
    n_real: _AtLeastTwo = 10_000
    n_fake: _AtLeastTwo = 5_000

    @classmethod
    def name(cls) -> str:
        """``sngan``."""
        return "sngan"


class Modern(Protocol):
    """FID of 50,000 generated against 50,000 training images; Inception Score of the same in ten parts."""

    source = "Heusel et al. 2017, arXiv:1706.08500, at the sizes in use since"

    split: SplitName = "train"
    n_real: _AtLeastTwo = 50_000
    n_fake: _AtLeastTwo = 50_000

    @classmethod
    def name(cls) -> str:
        """``modern``."""
        return "modern"


PROTOCOLS: dict[str, type[Protocol]] = {kind.name(): kind for kind in (SNGAN, Modern)}
"""Every protocol by the name that sweep files use."""
