"""The graph of a network by torch.fx, in which known modules are single steps."""

from typing import Any

from torch import fx, nn
from torch.nn.utils import parametrize

from lipschitz.estimation.layers import WEIGHTED
from lipschitz.estimation.upper_bound.module_rules import module_rule

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)


class Tracer(fx.Tracer):
    """Takes known modules, and those that cannot be traced, as leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, str] = {}
        """Why a module could not be traced, by its name in the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether ``m`` is known, or is torch's own and no container."""
        kind = parametrize.type_before_parametrizations(m)
        of_torch = kind.__module__.startswith("torch.") and kind not in CONTAINERS
        return isinstance(m, WEIGHTED) or of_torch or module_rule(m) is not None

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace into ``m``; where that fails, record a call of ``m`` as a whole."""
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # A forward pass may raise anything on what stands in for its input.
            self.module_stack = stack
            name = self.path_of_module(m)
            self.failures.setdefault(name, f"cannot be traced by torch.fx: {one_line(error)}")
            return self.create_proxy("call_module", name, args, kwargs)


def quoted(name: str) -> str:
    """Return a module's name in quotation marks; the network itself has none."""
    return f"'{name}'" if name else "the network"


def one_line(error: Exception) -> str:
    """Return the first line of what ``error`` says, or its class where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
