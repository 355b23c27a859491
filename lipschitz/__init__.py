"""Compare Lipschitz constraints for GAN discriminators on the same networks, data and seeds.

``import lipschitz as lip`` gives the Python API: the names of `API`, each imported at its first use, because torch and
pandas take seconds to import. Type checkers read the same names in ``__init__.pyi``. The docstring of each name is its
documentation; docs/python.md shows how they are used together.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

API = {
    "constrain": "lipschitz.api.constrained",
    "Constrained": "lipschitz.api.constrained",
    "Constraint": "lipschitz.constraints.base",
    "evaluate": "lipschitz.tasks.generation.image_scores",
    "ImageScores": "lipschitz.tasks.generation.image_scores",
    "InputError": "lipschitz.errors",
    "load": "lipschitz.api.results",
    "SweepResults": "lipschitz.api.results",
    "load_run": "lipschitz.sweep.trained_run",
    "TrainedNetworks": "lipschitz.sweep.trained_run",
    "TrainedRun": "lipschitz.sweep.trained_run",
    "measure": "lipschitz.estimation.measure",
    "Measurement": "lipschitz.estimation.measure",
    "Refusal": "lipschitz.constraints.base",
}
"""By name, the module that defines it. ``lipschitz.sweep`` is the package of this name, which can be called."""


def __getattr__(name: str) -> Any:
    if name == "sweep":
        return import_module("lipschitz.sweep")
    if name not in API:
        raise AttributeError(f"module 'lipschitz' has no attribute '{name}'")
    return getattr(import_module(API[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *API, "sweep"})
