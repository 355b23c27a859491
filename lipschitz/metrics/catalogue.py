"""Every value that a run records: its name, its label, and which direction is good. Imports neither torch nor SciPy."""

from dataclasses import dataclass
from typing import Literal

from lipschitz.errors import InputError, nearest


@dataclass(frozen=True)
class Metric:
    """What a reader must know of one recorded value."""

    name: str
    """Name in records; what follows a slash there (``sigma_operator/<layer>``) says where it was measured."""
    title: str
    """Label of an axis or a column, without the unit."""
    better: Literal["lower", "higher"] | None
    """Which direction is good; None for a value that describes rather than judges."""
    unit: str
    """Unit in which it is recorded; empty for a pure number."""
    source: str
    """Paper, arXiv number and equation or section; empty where it needs none."""
    summary: str
    """One line: what is measured, on what."""

    @property
    def label(self) -> str:
        """Title with the unit, where there is one."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


_METRICS = (
    Metric(
        name="w1",
        title="W1 to held-out data",
        better="lower",
        unit="",
        source="Villani 2009, Optimal Transport, definition 6.1",
        summary="Exact 1-Wasserstein distance between generated and held-out real points, equally many of each.",
    ),
    Metric(
        name="modes",
        title="Modes covered",
        better="higher",
        unit="",
        source="Srivastava et al. 2017, arXiv:1705.07761, section 4.1",
        summary="Mixture components that are nearest to at least one high-quality sample.",
    ),
    Metric(
        name="high_quality",
        title="High-quality samples",
        better="higher",
        unit="share",
        source="Srivastava et al. 2017, arXiv:1705.07761, section 4.1",
        summary="Share of generated points within three standard deviations of the nearest mode.",
    ),
    Metric(
        name="frechet_classifier",
        title="Fréchet distance, reference classifier",
        better="lower",
        unit="",
        source="Dowson and Landau 1982; on features as Heusel et al. 2017, arXiv:1706.08500, eq. 6",
        summary="Fréchet distance to held-out images in the features of a classifier of the same data; not the FID.",
    ),
    Metric(
        name="w1_classifier",
        title="W1, reference classifier",
        better="lower",
        unit="",
        source="Villani 2009, Optimal Transport, definition 6.1",
        summary="Exact 1-Wasserstein distance to held-out images in the features of a classifier of the same data.",
    ),
    Metric(
        name="kid_classifier",
        title="KID, reference classifier",
        better="lower",
        unit="",
        source="Bińkowski et al. 2018, arXiv:1801.01401, section 4",
        summary="Unbiased squared MMD, cubic kernel, to held-out images in the features of the data's own classifier.",
    ),
    Metric(
        name="intra_frechet_classifier",
        title="Intra-class Fréchet distance, reference classifier",
        better="lower",
        unit="",
        source="Miyato and Koyama 2018, arXiv:1802.05637, section 4, there with an Inception network",
        summary="Mean over classes of the Fréchet distance of images asked of a class to held-out ones of that class.",
    ),
    Metric(
        name="class_share",
        title="Share of samples in class",
        better=None,
        unit="",
        source="",
        summary="Share of generated images that the reference classifier takes for the class after the slash.",
    ),
    Metric(
        name="fid",
        title="FID",
        better="lower",
        unit="",
        source="Heusel et al. 2017, arXiv:1706.08500, eq. 6",
        summary="Fréchet distance to real images in Inception features, by the protocol after the slash.",
    ),
    Metric(
        name="inception_score",
        title="Inception Score",
        better="higher",
        unit="",
        source="Salimans et al. 2016, arXiv:1606.03498, section 4",
        summary="How sure and how varied the Inception network's classes are, by the protocol after the slash.",
    ),
    Metric(
        name="kid",
        title="KID",
        better="lower",
        unit="",
        source="Bińkowski et al. 2018, arXiv:1801.01401, section 4",
        summary="Unbiased squared MMD to real images, cubic kernel on Inception features; mean over subsets.",
    ),
    Metric(
        name="precision",
        title="Precision",
        better="higher",
        unit="",
        source="Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1",
        summary="Share of generated images within the neighbourhood of some real one, in Inception features.",
    ),
    Metric(
        name="recall",
        title="Recall",
        better="higher",
        unit="",
        source="Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2",
        summary="Share of real images within the neighbourhood of some generated one, in Inception features.",
    ),
    Metric(
        name="density",
        title="Density",
        better="higher",
        unit="",
        source="Naeem et al. 2020, arXiv:2002.09797, eq. 3",
        summary="Real neighbourhoods that hold a generated image, on average, over k; may exceed 1.",
    ),
    Metric(
        name="coverage",
        title="Coverage",
        better="higher",
        unit="",
        source="Naeem et al. 2020, arXiv:2002.09797, eq. 4",
        summary="Share of real neighbourhoods that hold some generated image, in Inception features.",
    ),
    Metric(
        name="cosine",
        title="Cosine to the optimal gradient",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean cosine of the gradients of critic and optimal potential, over samples of P.",
    ),
    Metric(
        name="l2",
        title="Squared gradient error",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean squared distance of the gradients of critic and optimal potential, over samples of P.",
    ),
    Metric(
        name="w1_dual",
        title="W1 by the critic",
        better=None,
        unit="",
        source="Arjovsky et al. 2017, arXiv:1701.07875, eq. 2",
        summary="Dual value: mean of the critic over P less that over Q, as it is, not divided by any constant.",
    ),
    Metric(
        name="w1_error",
        title="Relative error of W1",
        better=None,
        unit="",
        source="",
        summary="Distance of the dual value from the true W1, relative to that.",
    ),
    Metric(
        name="w1_over_lower",
        title="W1 by the critic over the lower bound on Lip(D)",
        better=None,
        unit="",
        source="",
        summary="Dual value over the steepest slope found: certifies nothing, as the critic may be steeper.",
    ),
    Metric(
        name="w1_over_upper",
        title="W1 by the critic over the upper bound on Lip(D)",
        better="higher",
        unit="",
        source="",
        summary="Dual value over the certified bound of the critic: never above W1 but by the noise of sampling.",
    ),
    Metric(
        name="cosine_float32",
        title="Cosine, as published",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Cosine with the optimal gradient as the published code rounds it: zero near a centre of a funnel.",
    ),
    Metric(
        name="l2_float32",
        title="Squared gradient error, as published",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Squared gradient error against the optimal gradient as the published code rounds it.",
    ),
    Metric(
        name="w1_independent",
        title="W1 by the critic, as published",
        better=None,
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Dual value over independent draws of P and Q, which is noisier than over the optimal plan.",
    ),
    Metric(
        name="sigma_reshaped",
        title="σ of the reshaped kernel",
        better=None,
        unit="",
        source="Miyato et al. 2018, arXiv:1802.05957, section 4",
        summary="Largest singular value of a layer's weight as a matrix; of a convolution, not the operator norm.",
    ),
    Metric(
        name="sigma_operator",
        title="σ of the true operator",
        better=None,
        unit="",
        source="Sedghi et al. 2019, arXiv:1805.10408, for why the two differ",
        summary="Largest singular value of the linear map that a layer applies, at its true input size and padding.",
    ),
    Metric(
        name="sigma_upper",
        title="Certified bound on σ of the true operator",
        better=None,
        unit="",
        source="Delattre et al. 2023, arXiv:2305.16173, Algorithm 2",
        summary="Upper bound on the largest singular value of the linear map that a layer applies, never below it.",
    ),
    Metric(
        name="effective_rank",
        title="Effective rank of the reshaped kernel",
        better=None,
        unit="",
        source="Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality, EUSIPCO",
        summary="Exponential of the entropy of a layer's singular values, normalised to sum to one.",
    ),
    Metric(
        name="lipschitz_lower",
        title="Lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="Largest input-gradient norm and difference quotient found by ascent from real and generated samples.",
    ),
    Metric(
        name="lipschitz_upper",
        title="Upper bound on Lip(D)",
        better=None,
        unit="",
        source="Szegedy et al. 2013, arXiv:1312.6199, section 4.3",
        summary="Certified bounds of all layers, composed over D in eval mode; ∞ where a module is not Lipschitz.",
    ),
    Metric(
        name="lipschitz_ratio",
        title="Upper over lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="How far the two bounds are apart: the true Lipschitz constant lies between them.",
    ),
    Metric(
        name="gradient_norm",
        title="Mean input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Mean norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
    Metric(
        name="gradient_norm_max",
        title="Largest input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Largest norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
    Metric(
        name="loss",
        title="Loss",
        better=None,
        unit="",
        source="",
        summary="Training loss of the network after the slash, its constraint's penalty left out.",
    ),
    Metric(
        name="loss_mean",
        title="Loss, mean of the last 50 updates",
        better=None,
        unit="",
        source="",
        summary="Mean over its last 50 updates of the loss of the network after the slash; of all where it had fewer.",
    ),
    Metric(
        name="ms_discriminator_step",
        title="Time of a discriminator step",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of one discriminator update, synchronised and warm, methods in turn, no run beside it.",
    ),
    Metric(
        name="ms_generator_step",
        title="Time of a generator step",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of one generator update, synchronised and warm, methods in turn, no run beside it.",
    ),
    Metric(
        name="ms_discriminator_step_uncaptured",
        title="Time of a discriminator step, uncaptured",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of a discriminator update launched kernel by kernel, where training captures what it can.",
    ),
    Metric(
        name="ms_iteration",
        title="Time of an iteration",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of n_dis discriminator updates and a generator update, captured as one, no run beside it.",
    ),
    Metric(
        name="ms_iteration_uncaptured",
        title="Time of an iteration, uncaptured",
        better="lower",
        unit="ms",
        source="",
        summary="Sum of the median times of its updates, each launched kernel by kernel, no run beside it.",
    ),
    Metric(
        name="peak_memory",
        title="Peak memory",
        better="lower",
        unit="MiB",
        source="",
        summary="What a run adds during the timing pass, data aside: its peak on CUDA, to the largest RSS on the CPU.",
    ),
    Metric(
        name="runs_at_once",
        title="Runs at once",
        better=None,
        unit="",
        source="",
        summary="Fewest runs, taking turns in one worker, that reach nearly the best throughput that was measured.",
    ),
    Metric(
        name="throughput",
        title="Throughput of the runs at once",
        better=None,
        unit="iterations/s",
        source="",
        summary="Iterations that these runs make together; it is of the device, and no method's cost.",
    ),
)

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
"""Every metric by name."""


def metric_of(name: str) -> Metric:
    """Return the metric behind a recorded name, with or without what follows the slash.

    Raises:
        InputError: no metric is called so; the message offers the nearest name.
    """
    head = name.partition("/")[0]
    try:
        return CATALOGUE[head]
    except KeyError:
        raise InputError(f"unknown metric '{head}'; {nearest(head, CATALOGUE)}") from None
