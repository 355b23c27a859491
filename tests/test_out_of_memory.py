"""A lack of memory is known under all its names, wherever it is met."""

from typing import Any

import pytest
import torch

from lipschitz.out_of_memory import lacks_memory
from lipschitz.training.iterations import Uncapturable, capture

NAMES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]
OTHERS = [
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(handle)`"),
    RuntimeError("operation not permitted when stream is capturing"),
    ValueError("out of memory"),
]


class FailingGraph:
    """A graph whose capture fails as CUDA's does: the last error hides the first."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def capture(self, work: Any) -> None:
        try:
            raise self._error
        except Exception:
            # The first error stays the context of the last one.
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture") from None

    def replay(self) -> None: ...

    def release(self) -> None: ...


@pytest.mark.parametrize("error", NAMES, ids=repr)
def test_a_lack_of_memory_is_known(error: Exception) -> None:
    assert lacks_memory(error)
    wrapped = ValueError("no metric")
    wrapped.__cause__ = error
    assert lacks_memory(wrapped)
    with pytest.raises(Uncapturable) as caught:
        capture(FailingGraph(error), lambda: None)
    assert caught.value.lacked_memory


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_another_error_is_none(error: Exception) -> None:
    assert not lacks_memory(error)
    with pytest.raises(Uncapturable) as caught:
        capture(FailingGraph(error), lambda: None)
    assert not caught.value.lacked_memory
