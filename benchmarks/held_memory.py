"""A method that does nothing but hold memory of a GPU, for ``sweep_checks.py memory``."""

import os
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint

SWITCH = "LIPSCHITZ_CHECK_HOLDS_MEMORY"
"""Environment variable without which nothing is held."""
SHARE = 0.55
"""Of the memory that is free when a process builds its first network. There is none for two networks."""
_held: WeakKeyDictionary[nn.Module, Tensor] = WeakKeyDictionary()
_bytes: dict[torch.device, int] = {}


class HeldMemory(Constraint):
    """Hold memory as long as the network lives, so that no two runs fit on a device. Nothing is constrained."""

    source = "none: a check of sweeps"
    promise = "none"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Hold memory of the device of ``net``, which is returned as it is."""
        device = next(net.parameters()).device
        if device.type == "cuda" and SWITCH in os.environ:
            size = _bytes.setdefault(device, int(SHARE * torch.cuda.mem_get_info(device)[0]))
            _held[net] = torch.empty(size, dtype=torch.uint8, device=device)
        return net
