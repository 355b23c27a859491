"""Modules whose output for one sample depends on the others of its batch."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lipschitz.constraints.base import Refusal


def batch_dependent(net: nn.Module) -> Iterator[str]:
    """Yield the name of every module of ``net`` that normalises by statistics of the batch it is given."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):
            yield name


def refuse_batch_dependence(method: str, net: nn.Module) -> None:
    """Raise Refusal where the input gradient of a single sample has no meaning (arXiv:1704.00028, Sec. 4)."""
    for name in batch_dependent(net):
        raise Refusal(
            f"{method} works with the gradient of each sample, which batch normalisation in '{name}' makes depend on "
            "the whole batch; allowed: layer_normalization"
        )
