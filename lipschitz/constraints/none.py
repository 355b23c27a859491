"""No constraint: the baseline that every method is compared with."""

from lipschitz.constraints.base import Constraint


class NoConstraint(Constraint):
    """No constraint on the discriminator."""

    source = "Goodfellow et al. 2014, arXiv:1406.2661"
    promise = "none"
