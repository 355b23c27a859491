"""Search for the bounds of a network with little effort, in this process and in the workers that it starts."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Every worker imports this module.
    import pytest

CERTIFICATE = "lipschitz.estimation.upper_bound.semidefinite.certificate"
EFFORT = {
    "lipschitz.estimation.lower_bound.search.SEARCH_OPERATIONS": 1e6,
    f"{CERTIFICATE}.ITERATIONS": 0,
    f"{CERTIFICATE}.FINAL_FLOPS": 1e8,
}


def search_briefly(patch: "pytest.MonkeyPatch") -> None:
    """Change the effort until ``patch`` is undone."""
    for name, value in EFFORT.items():
        patch.setattr(name, value)
    process = importlib.import_module("lipschitz.sweep.process")
    patch.setattr(process, "worker_context", lambda original=process.worker_context: _Context(original()))


class _Context:
    """A context of multiprocessing whose processes search briefly, too."""

    def __init__(self, context: Any) -> None:
        self._context, self.Pipe = context, context.Pipe

    def Process(self, *, target: Callable[..., object], args: tuple[Any, ...], name: str) -> Any:
        return self._context.Process(target=_call, args=(target, *args), name=name)


def _call(target: Callable[..., object], *arguments: Any) -> None:
    for name, value in EFFORT.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    target(*arguments)
