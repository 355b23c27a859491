"""No constraint: the baseline that every method is compared with."""

from typing import ClassVar, Literal

from lipschitz.constraints.base import Constraint


class NoConstraint(Constraint):
    """No constraint on the discriminator."""

    source: ClassVar[str] = "Goodfellow et al. 2014, arXiv:1406.2661"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
