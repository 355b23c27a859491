"""What a network's modules are given: seen in one forward pass that changes nothing."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.estimation.fixed_labels import label_of_any

Look = Callable[[torch.Size], None]


def probe(net: nn.Module, shape: tuple[int, ...], looks: Iterable[tuple[nn.Module, Look]]) -> None:
    """Call each look with the shape of what its module is given for one sample of ``shape``, without the batch.

    Runs one forward pass on zeros in eval mode and without gradients, and puts every module's mode back. A module that
    the pass does not use is not looked at, one that it uses more than once is looked at each time.
    """
    handles = [module.register_forward_pre_hook(_hook(look), with_kwargs=True) for module, look in looks]
    if not handles:
        return
    modes = [(module, module.training) for module in net.modules()]
    like = next(net.parameters(), torch.empty(0))
    try:
        with torch.no_grad():
            sample = torch.zeros(1, *shape, dtype=like.dtype, device=like.device)
            net.eval()(sample, *label_of_any(net, sample))
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()


def _hook(look: Look) -> Callable[[nn.Module, tuple[Tensor, ...], dict[str, Any]], None]:
    return lambda _, args, named: look((args[0] if args else named["input"]).shape[1:])
