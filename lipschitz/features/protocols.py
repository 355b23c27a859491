"""Protocols of FID, KID and Inception Score: how many images are compared, which ones and how preprocessed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lipschitz.config import Config, Iterations, Samples
from lipschitz.datasets.images.image_data import SplitName
from lipschitz.errors import InputError
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.metrics.base import Metric, protocol_facts
from lipschitz.metrics.catalogue import METRICS
from lipschitz.metrics.context import InceptionContext
from lipschitz.metrics.inception import NEIGHBOURS

SPLITS = {"train": "training", "held_out": "held-out"}
"""Names of the splits in messages and recorded facts."""
MAX_COMPARED = 10_000
"""Largest number of real and of generated images for KID, precision, recall, density and coverage."""
AtLeastTwo = Annotated[int, Field(ge=2, le=10**6)]


class Protocol(Config):
    """How many images of which split are compared, and how they are preprocessed.

    A protocol with fields other than the defaults is a variant. Its label contains these fields, so it is never
    mistaken for the protocol.
    """

    sets: ClassVar[int] = 1
    """The Inception Score uses this many times ``n_fake`` images by default."""

    split: SplitName
    """The split of real images that is the reference."""
    n_real: AtLeastTwo
    """Number of real images for the FID. From a larger split a random draw is taken, always the same one."""
    n_fake: AtLeastTwo
    """Number of generated images for the FID."""
    score_samples: Samples | None = None
    """Number of generated images for the Inception Score; by default ``n_fake``, for sngan ten times as many."""
    score_splits: Iterations = 10
    """Number of parts into which these are split; the score is the mean over the parts."""
    preprocessing: Literal["pytorch_fid", "torch_fidelity"] = "pytorch_fid"
    """The package whose resizing and scaling is used."""
    precision: Literal["float32", "tf32"] = "float32"
    """Of the products in the network. tf32, on CUDA only, rounds their factors to 10 bits."""

    @model_validator(mode="after")
    def _is_measurable(self) -> Self:
        if self.n_compared <= NEIGHBOURS:
            found = f"n_real {self.n_real} and n_fake {self.n_fake}"
            raise ValueError(
                f"{found} are too few for {NEIGHBOURS} neighbours; allowed: {NEIGHBOURS + 1} or more of each"
            )
        if self.n_scored < self.score_splits:
            raise ValueError(f"{self.n_scored} images cannot be split into {self.score_splits} parts")
        return self

    @property
    def other_split(self) -> SplitName:
        """The split that is not the reference. Its images are compared with the reference for the floor."""
        return "held_out" if self.split == "train" else "train"

    @property
    def n_scored(self) -> int:
        """Number of generated images for the Inception Score."""
        return self.score_samples or self.sets * self.n_fake

    @property
    def n_generated(self) -> int:
        """Number of generated images that the protocol needs in all."""
        return max(self.n_fake, self.n_scored)

    @property
    def n_compared(self) -> int:
        """Number of real and of generated images for KID, precision, recall, density and coverage."""
        return min(self.n_real, self.n_fake, MAX_COMPARED)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the recorded metrics of the package, FID first."""
        return tuple(self.recorded(metric.label()) for metric in self.measured())

    def measured(self, further: Sequence[Metric] = ()) -> tuple[Metric, ...]:
        """Return the metrics that are measured by this protocol, FID first; ``further`` are those that a sweep adds."""
        return METRICS.judging("inception", self.context(), further)

    @property
    def embedding(self) -> tuple[str, Literal["float32", "tf32"]]:
        """Preprocessing and precision of the features; protocols in which both are equal share generated images'."""
        return self.preprocessing, self.precision

    def recorded(self, name: str) -> str:
        """Return the name under which the metric ``name`` is recorded."""
        return f"{name}/{self.label()}"

    def check(self, dataset: str, sizes: Mapping[str, int]) -> None:
        """Refuse a data set with too few real images; ``sizes`` are the numbers of images by split.

        Raises:
            InputError: the message says how many images of which split the protocol needs.
        """
        # The floor compares real images of the other split with the reference.
        needs = {self.split: self.n_real, self.other_split: max(NEIGHBOURS + 1, self.score_splits)}
        for split, needed in needs.items():
            if (found := sizes[split]) < needed:
                variant = f"; allowed: a variant, such as {{{self.name()}: {{n_real: {found}}}}}"
                raise InputError(
                    f"{dataset}: protocol {self.label()} needs {needed:,} {SPLITS[split]} images, found {found:,}"
                    + (variant if split == self.split and found > NEIGHBOURS else "")
                )

    def facts(self, sha256: str, floor: int, further: Sequence[Metric] = ()) -> dict[str, dict[str, Any]]:
        """Return by metric name the facts that are recorded with its value: sizes, network and preprocessing.

        Arguments are those of `context` and `measured`.
        """
        facts = protocol_facts(self.measured(further), self.context(sha256, floor))
        return {self.recorded(name): value for name, value in facts.items()}

    def context(self, sha256: str = "", floor: int = 0) -> InceptionContext:
        """Return what its metrics compare.

        Args:
            sha256: of the network's weights; empty before they are loaded.
            floor: number of real images of the other split, which take the place of generated images in the floor.
        """
        network: dict[str, Any] = {
            "protocol": self.label(),
            "features": f"Inception network of the FID (2015), SHA-256 {sha256[:12]}",
            "preprocessing": self.preprocessing,
            "quantisation": "8 bit",
        }
        if self.precision != "float32":
            network["precision"] = self.precision
        return InceptionContext(
            network,
            reference=f"{SPLITS[self.split]} images",
            n_real=self.n_real,
            n_fake=self.n_fake,
            n_scored=self.n_scored,
            score_splits=self.score_splits,
            n_compared=self.n_compared,
            n_other=floor,
        )


class SNGAN(Protocol):
    """FID of 5,000 generated against 10,000 test images; Inception Score of ten sets of 5,000.

    The paper's network ran in TensorFlow, whose resize is that of ``preprocessing: torch_fidelity``.
    """

    named = "sngan"
    source = "Miyato et al. 2018, arXiv:1802.05957, section 4 and appendix B.1"
    sets = 10

    split: SplitName = "held_out"
    n_real: AtLeastTwo = 10_000
    n_fake: AtLeastTwo = 5_000


class Modern(Protocol):
    """FID of 50,000 generated against 50,000 training images; Inception Score of the same in ten parts."""

    named = "modern"
    source = "Heusel et al. 2017, arXiv:1706.08500, at the sizes in use since"

    split: SplitName = "train"
    n_real: AtLeastTwo = 50_000
    n_fake: AtLeastTwo = 50_000


PROTOCOLS = ExtensionPoint("protocol", "protocols", "lipschitz.features.protocols", Protocol)
