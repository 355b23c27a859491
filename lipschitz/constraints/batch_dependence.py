"""Find batch normalization, which makes a sample's output depend on the other samples of its batch."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lipschitz.constraints.base import Refusal


def batch_dependent(net: nn.Module) -> Iterator[str]:
    """Yield the name of every batch normalization module of ``net``."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):
            yield name


def refuse_batch_dependence(method: str, net: nn.Module) -> None:
    """Raise Refusal if ``net`` contains batch normalization.

    The output for one sample is then not a function of that sample alone, so its input gradient is not defined
    (Gulrajani et al. 2017, arXiv:1704.00028, Sec. 4).
    """
    for name in batch_dependent(net):
        raise Refusal(
            f"{method} works with the gradient of each sample, but batch normalization in '{name}' makes it depend on "
            "the whole batch; allowed: layer_normalization"
        )
