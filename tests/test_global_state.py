"""Global settings that code of a run changes are noticed, named and set back."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.errors import InputError
from lipschitz.global_state import GlobalState

CHANGES: dict[str, Callable[[], Any]] = {
    "torch's default dtype from torch.float32 to torch.float64": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device from cpu to meta": lambda: torch.set_default_device("meta"),
    "torch's grad mode from True to False": lambda: torch.set_grad_enabled(False),
    "torch's number of threads from 1 to 2": lambda: torch.set_num_threads(2),
    "torch's deterministic mode from 0 to 2": lambda: torch.use_deterministic_algorithms(True),
    "torch's anomaly detection from False to True": lambda: torch.autograd.set_detect_anomaly(True, check_nan=True),
    "torch's autocast on cpu from False to True": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's flushing of denormal numbers from False to True": lambda: torch.set_flush_denormal(True),
    "cudnn.benchmark from False to True": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "NumPy's error handling (divide) from warn to raise": lambda: np.seterr(divide="raise"),
    "the handler of SIGTERM from SIG_DFL to SIG_IGN": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
}


@pytest.fixture
def state() -> Iterator[GlobalState]:
    """The settings of the tests, which are set back even where the code under test does not."""
    whole = GlobalState()
    yield GlobalState()
    whole.restore()


@pytest.mark.parametrize("said", CHANGES)
def test_a_change_is_named_and_set_back(state: GlobalState, said: str) -> None:
    state.check("nothing")
    CHANGES[said]()
    with pytest.raises(InputError) as refused:
        state.check("mine")
    assert str(refused.value) == f"mine changed {said}; what a process shares must stay as it is"
    state.check("nothing")
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device.type == "cpu"


def test_float32_products_are_set_back(state: GlobalState) -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.mkldnn.set_flags(_fp32_precision="bf16")
    changes = state.restore()
    assert any(line.startswith("torch's float32 precision (cuda.matmul) from ") for line in changes)
    assert any(line.startswith("torch's float32 precision (mkldnn) from none to bf16") for line in changes)
    assert state.restore() == []


def test_the_current_folder_is_set_back(state: GlobalState, tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    assert state.restore() == [f"the current folder from {before} to {tmp_path}"]
    assert Path.cwd() == before


def test_filters_of_warnings_are_set_back_without_a_word(state: GlobalState) -> None:
    before = list(warnings.filters)
    warnings.simplefilter("ignore")
    assert state.restore() == []
    assert warnings.filters == before


def test_a_file_whose_code_changes_a_setting_is_refused(state: GlobalState, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import torch\ntorch.set_default_dtype(torch.float64)\n")
    with pytest.raises(InputError, match=r"mine.py: its code changed torch's default dtype from torch.float32"):
        CONSTRAINTS.called("mine.py:Mine", tmp_path)
    assert torch.get_default_dtype() == torch.float32
