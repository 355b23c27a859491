"""TF32 by torch's newer switches leaves the older ones readable, which a library or a method may look at."""

from collections.abc import Iterator

import pytest
import torch

from lipschitz.global_state import GlobalState
from lipschitz.tf32 import Float32, float32_products, multiply_float32


@pytest.fixture(autouse=True)
def _set_back() -> Iterator[None]:
    before = GlobalState()
    yield
    before.restore()


def older() -> tuple[bool, bool, str]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return matmul.allow_tf32, cudnn.allow_tf32, torch.get_float32_matmul_precision()


@pytest.mark.parametrize(("how", "expected"), [("ieee", (False, False, "highest")), ("tf32", (True, True, "high"))])
def test_the_older_switches_agree_with_the_newer_ones(how: Float32, expected: tuple[bool, bool, str]) -> None:
    multiply_float32(how)
    assert older() == expected
    with float32_products("ieee" if how == "tf32" else "tf32"):
        assert older() != expected
    assert older() == expected
