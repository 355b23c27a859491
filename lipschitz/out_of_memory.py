"""Recognise a lack of memory in the errors of torch, CUDA, cuBLAS, cuDNN and the CPU's allocator."""

import torch

MESSAGES = (
    # CUDA's own allocations, such as those of a graph, as RuntimeError or AcceleratorError.
    "out of memory",
    # Handles and workspaces of libraries.
    "_ALLOC_FAILED",
    "_NOT_INITIALIZED when calling",
    # cuDNN: the workspace of no algorithm fits. With memory left, the operation is not supported.
    "unable to find an engine to execute this computation",
    # The CPU's allocator.
    "can't allocate memory",
)
"""Parts of messages by which a lack of memory is known."""


def lacks_memory(error: BaseException) -> bool:
    """Say whether ``error``, or one of the errors that led to it, is a lack of memory of the device or the host."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        if isinstance(each, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(each, RuntimeError) and any(text in str(each) for text in MESSAGES):
            return True
        seen.add(id(each))
        each = each.__cause__ or each.__context__
    return False
