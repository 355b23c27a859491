"""Trace a network to a torch.fx graph in which modules with a known Lipschitz constant are single nodes."""

from typing import Any

from torch import fx, nn
from torch.nn.utils import parametrize

from lipschitz.estimation.layers import WEIGHTED
from lipschitz.estimation.upper_bound.module_rules import module_rule

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)


class Tracer(fx.Tracer):
    """Traces with these modules as leaves: those with a known constant, and those that torch.fx cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, str] = {}
        """Why a module could not be traced, by its name in the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether ``m`` is weighted, has a rule, or is a module of torch other than a container."""
        kind = parametrize.type_before_parametrizations(m)
        of_torch = kind.__module__.startswith("torch.") and kind not in CONTAINERS
        return isinstance(m, WEIGHTED) or of_torch or module_rule(m) is not None

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace into ``m``; if that fails, record one call of ``m`` and the reason."""
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # A forward pass may raise any error on torch.fx's proxies.
            self.module_stack = stack
            name = self.path_of_module(m)
            self.failures.setdefault(name, f"cannot be traced by torch.fx: {first_line(error)}")
            return self.create_proxy("call_module", name, args, kwargs)


def quoted(name: str) -> str:
    """Return a module's name in quotation marks, or "the network" for the empty name of the network itself."""
    return f"'{name}'" if name else "the network"


def first_line(error: Exception) -> str:
    """Return the first line of the error's message, or its class if the message is empty."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
