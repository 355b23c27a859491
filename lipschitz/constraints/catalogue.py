"""The catalogue of constraints, by the names that sweep files use."""

from lipschitz.constraints.base import Constraint
from lipschitz.extensions.point import ExtensionPoint

CONSTRAINTS = ExtensionPoint("constraint", "constraints", "lipschitz.constraints", Constraint)
