"""Fixtures of the pytest-benchmark suites: one CPU thread, and every device that there is."""

from collections.abc import Iterator

import pytest
import torch

_NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, as a worker does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=_NO_GPU)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, then the GPU; without a GPU the second is skipped."""
    return torch.device(request.param)
