"""Count torch operators, the kernels that they launch on a GPU, and copies of tensor values to Python."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

TRANSFERS = {Tensor.tolist, Tensor.item, Tensor.cpu, Tensor.__float__, Tensor.__int__, Tensor.__bool__}


class AtenCalls(TorchDispatchMode):
    """Counts the calls of ATen operators by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


FREE = {"empty", "empty_like", "empty_strided", "new_empty", "detach"}
SEVERAL = {"masked_fill": 2, "_foreach_norm": 3}


class Launches(TorchDispatchMode):
    """Counts the kernels that ATen operators launch on a GPU, library calls included; meta tensors will do.

    An operator launches one kernel, or as many as `SEVERAL` says. Views and allocations launch none. An operator on
    lists launches one kernel for the whole list; if one of the lists holds scalars, it launches one for each tensor, as
    torch's code for CUDA does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if not function.is_view and name not in FREE:
            lists = [[one.shape for one in arg] for arg in args if isinstance(arg, list) and isinstance(arg[0], Tensor)]
            scattered = name.startswith("_foreach") and any(shapes != lists[0] for shapes in lists)
            self.count += len(lists[0]) if scattered else SEVERAL.get(name, 1)
        return function(*args, **(kwargs or {}))


class HostCopies(TorchFunctionMode):
    """Counts by dtype how often a tensor's values are copied to Python. On a device each such copy synchronises.

    Tests without a device use one dtype for host tensors and another for tensors that stand for the device's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[torch.dtype] = Counter()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in TRANSFERS:
            self.counts[args[0].dtype] += 1
        return function(*args, **(kwargs or {}))
