"""Standing statistics: the running statistics of a generator's batch normalization, estimated anew for its weights.

The average of a generator's weights is another network than the generator: statistics of the latter do not fit it.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

BATCHES = 50
"""Batches of latents whose statistics are averaged."""


def has_running_statistics(net: nn.Module) -> bool:
    """Return whether ``net`` contains batch normalization that is evaluated by running statistics."""
    return any(True for _ in _norms(net))


@torch.no_grad()
def with_standing_statistics(net: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> nn.Module:
    """Return a copy of ``net`` in eval mode whose running statistics are the mean of those of ``batches``.

    Each batch is the arguments of one call. In the calls only batch normalization is in training mode. BigGAN calls
    these standing statistics (Brock et al. 2019, arXiv:1809.11096); torch's ``update_bn`` computes the same for an
    average of weights.
    """
    net = copy.deepcopy(net).eval()
    norms = list(_norms(net))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
    for number, inputs in enumerate(batches, 1):
        for norm in norms:
            norm.momentum = 1 / number
        net(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()


def _norms(net: nn.Module) -> Iterable[_BatchNorm]:
    return (module for module in net.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None)
