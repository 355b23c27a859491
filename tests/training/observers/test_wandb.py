"""The observer wandb, with a stand-in for the package wandb, which need not be installed."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from lipschitz.extensions.entry import config_of
from lipschitz.training import observers
from lipschitz.training.observers import OBSERVERS, tiled

DEFINITION = {
    "id": "digits-dcgan-none-hinge-C-s3-0123abcd",
    "configuration": "digits-dcgan-none-hinge-C-77777777",
    "labels": {"constraint": "none"},
    "seed": 3,
    "run": {"training": {"steps": 100}},
}


class WandB(ModuleType):
    """Keeps the calls to the package and to the run that it returns."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.calls: list[tuple[Any, ...]] = []
        self.summary: dict[str, Any] = {}
        self.options: dict[str, Any] = {}

    def Settings(self, **fields: Any) -> dict[str, Any]:
        return fields

    def Image(self, pixels: np.ndarray) -> tuple[str, tuple[int, ...]]:
        return ("image", pixels.shape)

    def init(self, **options: Any) -> "WandB":
        self.options = options
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.calls.append((values, step))

    def finish(self) -> None:
        self.calls.append(("finish",))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> WandB:
    module = WandB()
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(observers, "find_spec", {"wandb": module.__spec__}.__getitem__)
    return module


def test_metrics_and_images_are_logged_in_a_run_that_is_not_sent(tmp_path: Path, wandb: WandB) -> None:
    observer = config_of(OBSERVERS, {"wandb": {"project": "mine"}})
    observer.on_start(tmp_path, DEFINITION, 0)
    options = wandb.options
    assert (options["mode"], options["project"], options["dir"]) == ("offline", "mine", str(tmp_path))
    assert (options["id"], options["name"]) == ("s3-0123abcd", DEFINITION["id"])
    assert options["group"] == DEFINITION["configuration"]
    assert options["config"] == {"constraint": "none", "seed": 3, "training": {"steps": 100}}
    observer.on_record(40, 0.5, {"w1": 20.0, "sigma_operator/conv1": 1.5})
    observer.on_preview(40, {"samples": np.zeros((10, 4, 6, 3), dtype=np.uint8)})
    observer.on_preview(40, {"samples": np.zeros((10, 2))})
    observer.on_end({"status": "finished"})
    assert wandb.calls == [
        ({"w1": 20.0, "sigma_operator/conv1": 1.5, "seconds": 0.5}, 40),
        ({"samples": ("image", (8, 48, 3))}, 40),
        ("finish",),
    ]
    assert wandb.summary == {"status": "finished"}


def test_images_are_tiled_row_by_row() -> None:
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    grid = tiled(images, columns=2)
    assert grid.shape == (6, 6, 1)
    assert grid[::2, ::3, 0].tolist() == [[1, 2], [3, 4], [5, 0]]
    assert tiled(images[:1]).shape == (2, 3, 1)


def test_without_the_package_it_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "find_spec", {"wandb": None}.__getitem__)
    with pytest.raises(PydanticCustomError) as error:
        config_of(OBSERVERS, "wandb")
    said = "needs the package wandb, which is not installed; install it with pip install -e '.[wandb]'"
    assert error.value.message() == f"wandb: {said}"
