"""The constraints by the names that sweep files use: each module of this package that defines one."""

import lipschitz.constraints
from lipschitz.constraints.base import Constraint
from lipschitz.discovery import discover

CATALOGUE: dict[str, type[Constraint]] = discover(lipschitz.constraints, Constraint)
