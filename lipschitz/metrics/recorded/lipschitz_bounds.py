"""Values recorded of the discriminator: bounds on its Lipschitz constant, and norms of its input gradient."""

from lipschitz.metrics.description import Description

LIPSCHITZ_BOUNDS = (
    Description(
        name="lipschitz_lower",
        title="Lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="Largest input-gradient norm and difference quotient found by ascent from real and generated samples.",
    ),
    Description(
        name="lipschitz_upper",
        title="Upper bound on Lip(D)",
        better=None,
        unit="",
        source="Szegedy et al. 2013, arXiv:1312.6199, section 4.3",
        summary="Certified bounds of all layers, composed over D in eval mode; ∞ where a module is not Lipschitz.",
    ),
    Description(
        name="lipschitz_ratio",
        title="Upper over lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="How far the two bounds are apart: the true Lipschitz constant lies between them.",
    ),
    Description(
        name="gradient_norm",
        title="Mean input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Mean norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
    Description(
        name="gradient_norm_max",
        title="Largest input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Largest norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
)
