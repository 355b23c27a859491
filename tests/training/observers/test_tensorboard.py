"""The observer tensorboard, with a stand-in for TensorBoard's writer, which need not be installed."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from lipschitz.errors import InputError
from lipschitz.extensions.entry import config_of, default_config
from lipschitz.training import observers as tensorboard
from lipschitz.training.observers import OBSERVERS


class Writer:
    """Keeps the calls to a `torch.utils.tensorboard.SummaryWriter`."""

    calls: list[tuple[Any, ...]]

    def __init__(self, log_dir: str, purge_step: int) -> None:
        type(self).calls = [("open", log_dir, purge_step)]

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.calls.append((tag, value, step))

    def add_images(self, tag: str, images: np.ndarray, step: int, dataformats: str) -> None:
        self.calls.append((tag, images.shape, step, dataformats))

    def flush(self) -> None:
        self.calls.append(("flush",))

    def close(self) -> None:
        self.calls.append(("close",))


def installed(monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    spec = ModuleSpec("tensorboard", None) if is_there else None
    monkeypatch.setattr(tensorboard, "find_spec", {"tensorboard": spec}.__getitem__)


def test_metrics_are_scalars_and_images_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, True)
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    observer = config_of(OBSERVERS, "tensorboard")
    observer.on_start(tmp_path, {}, 40)
    observer.on_record(80, 0.5, {"fid/sngan": 20.0, "loss/generator": 1.0})
    observer.on_preview(80, {"samples": np.zeros((4, 8, 8, 1), dtype=np.uint8), "real": np.zeros(())})
    observer.on_end({"status": "finished"})
    assert Writer.calls == [
        ("open", str(tmp_path / "tensorboard"), 41),
        ("fid/sngan", 20.0, 80),
        ("loss/generator", 1.0, 80),
        ("flush",),
        ("samples", (4, 8, 8, 1), 80, "NHWC"),
        ("flush",),
        ("close",),
    ]
    observer.on_preview(80, {"samples": np.zeros((4, 2))})
    observer.on_preview(80, {})
    assert Writer.calls[-1] == ("close",)


def test_without_the_package_it_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, False)
    with pytest.raises(PydanticCustomError) as error:
        config_of(OBSERVERS, "tensorboard")
    said = "needs the package tensorboard, which is not installed; install it with pip install -e '.[tensorboard]'"
    assert error.value.message() == f"tensorboard: {said}"
    with pytest.raises(InputError) as refused:
        default_config(OBSERVERS, "tensorboard", "--observer")
    assert str(refused.value) == f"--observer tensorboard: {said}"
