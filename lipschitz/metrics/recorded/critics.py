"""Values recorded of critics, whose optimal transport is known."""

from lipschitz.metrics.description import Description

CRITICS = (
    Description(
        name="cosine",
        title="Cosine to the optimal gradient",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean cosine of the gradients of critic and optimal potential, over samples of P.",
    ),
    Description(
        name="l2",
        title="Squared gradient error",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean squared distance of the gradients of critic and optimal potential, over samples of P.",
    ),
    Description(
        name="w1_dual",
        title="W1 by the critic",
        better=None,
        unit="",
        source="Arjovsky et al. 2017, arXiv:1701.07875, eq. 2",
        summary="Dual value: mean of the critic over P less that over Q, as it is, not divided by any constant.",
    ),
    Description(
        name="w1_error",
        title="Relative error of W1",
        better=None,
        unit="",
        source="",
        summary="Distance of the dual value from the true W1, relative to that.",
    ),
    Description(
        name="w1_over_lower",
        title="W1 by the critic over the lower bound on Lip(D)",
        better=None,
        unit="",
        source="",
        summary="Dual value over the steepest slope found: certifies nothing, as the critic may be steeper.",
    ),
    Description(
        name="w1_over_upper",
        title="W1 by the critic over the upper bound on Lip(D)",
        better="higher",
        unit="",
        source="",
        summary="Dual value over the certified bound of the critic: never above W1 but by the noise of sampling.",
    ),
    Description(
        name="cosine_float32",
        title="Cosine, as published",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Cosine with the optimal gradient as the published code rounds it: zero near a centre of a funnel.",
    ),
    Description(
        name="l2_float32",
        title="Squared gradient error, as published",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Squared gradient error against the optimal gradient as the published code rounds it.",
    ),
    Description(
        name="w1_independent",
        title="W1 by the critic, as published",
        better=None,
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Dual value over independent draws of P and Q, which is noisier than over the optimal plan.",
    ),
)
