"""Values recorded for each layer of the discriminator: singular values and effective rank."""

from lipschitz.metrics.description import Description

LAYERS = (
    Description(
        name="sigma_reshaped",
        title="σ of the reshaped kernel",
        better=None,
        unit="",
        source="Miyato et al. 2018, arXiv:1802.05957, section 4",
        summary="Largest singular value of a layer's weight as a matrix; of a convolution, not the operator norm.",
    ),
    Description(
        name="sigma_operator",
        title="σ of the true operator",
        better=None,
        unit="",
        source="Sedghi et al. 2019, arXiv:1805.10408, for why the two differ",
        summary="Largest singular value of the linear map that a layer applies, at its true input size and padding.",
    ),
    Description(
        name="sigma_upper",
        title="Certified bound on σ of the true operator",
        better=None,
        unit="",
        source="Delattre et al. 2023, arXiv:2305.16173, Algorithm 2",
        summary="Upper bound on the largest singular value of the linear map that a layer applies, never below it.",
    ),
    Description(
        name="effective_rank",
        title="Effective rank of the reshaped kernel",
        better=None,
        unit="",
        source="Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality, EUSIPCO",
        summary="Exponential of the entropy of a layer's singular values, normalised to sum to one.",
    ),
)
