"""Which of torch's classes a module is, in what it does and not in name alone."""

from collections.abc import Container

from torch import nn


def torch_kind(module: nn.Module, kinds: Container[type[nn.Module]]) -> type[nn.Module] | None:
    """Return the class among ``kinds`` whose forward pass the module has; None where it has one of its own."""
    if "forward" in vars(module):
        return None
    own = getattr(type(module), "forward", None)
    return next(
        (kind for kind in type(module).__mro__ if kind in kinds and getattr(kind, "forward", None) is own), None
    )
