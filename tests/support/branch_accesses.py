"""Find tensors that two branches of a fork would use in an order that no stream decides: reads and writes by branch."""

from collections import defaultdict
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lipschitz.tasks.side_stream import Branch


class BranchAccesses(TorchDispatchMode):
    """Notes which memory each ATen operator reads and writes, and on which branch; `races` says what is wrong.

    ``set_branch`` is a callback of `lipschitz.tasks.side_stream.notified`. Memory is told apart by storage, so two
    parts of one tensor count as one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.races: list[str] = []
        self.branches: list[Branch] = ["alone"]
        self._kept: list[Any] = []  # So that no address is given out twice.
        self._made_beside: set[int] = set()
        self._start()

    def _start(self) -> None:
        self._reads: dict[str, set[int]] = defaultdict(set)
        self._writes: dict[str, set[int]] = defaultdict(set)

    def set_branch(self, branch: Branch) -> None:
        """Note what follows on ``branch``; a join ends the time in which its two branches may meet."""
        self.branches.append(branch)
        if branch == "alone":
            self._start()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        written = self._written(func, args, kwargs)
        read = self._places((args, kwargs))
        outs = func(*args, **kwargs)
        if func.is_view or func.overloadpacket.__name__ == "detach":
            return outs
        branch = self.branches[-1]
        if branch == "beside":
            self._made_beside |= self._places(outs) - read
        elif shared := (read | written) & self._made_beside:
            self.races.append(f"{func} on {branch} uses memory of the side stream ({len(shared)})")
        self._reads[branch] |= read
        self._writes[branch] |= written
        other = {"beside": "meanwhile", "meanwhile": "beside"}.get(branch, "")
        if (self._reads[other] & written) or (self._writes[other] & (read | written)):
            self.races.append(f"{func} {branch} meets work {other}")
        return outs

    def _written(self, func: Any, args: Any, kwargs: Any) -> set[int]:
        names = [one.name for one in func._schema.arguments if one.alias_info and one.alias_info.is_write]
        given = {one.name: value for one, value in zip(func._schema.arguments, args, strict=False)} | kwargs
        return self._places([given.get(name) for name in names])

    def _places(self, values: Any) -> set[int]:
        storages = [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
        self._kept.extend(storages)
        return {storage._cdata for storage in storages}
