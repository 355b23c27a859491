"""No constraint: the baseline with which every method is compared."""

from lipschitz.constraints.base import Constraint


class NoConstraint(Constraint):
    """Leave the discriminator unconstrained, as a baseline."""

    source = "Goodfellow et al. 2014, arXiv:1406.2661"
    promise = "none"
