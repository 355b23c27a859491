"""A tensor on the CPU that computes as one on a GPU: it says that it is elsewhere, and refuses to be copied as a whole."""

import numpy as np
import torch
from torch import Tensor


class DeviceTensor(Tensor):
    """Results of operations on it are such tensors, too; of one number the value may be read."""

    is_cpu = False  # type: ignore[assignment]

    def numpy(self, *_: object, **__: object) -> np.ndarray:
        raise AssertionError("copied to the host")

    cpu = tolist = __array__ = numpy  # type: ignore[assignment]


def on_device(x: np.ndarray | Tensor) -> Tensor:
    """Return ``x`` as a `DeviceTensor` of its own memory."""
    return torch.as_tensor(x).clone().as_subclass(DeviceTensor)
