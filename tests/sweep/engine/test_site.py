import pytest
import torch

from lipschitz.errors import InputError
from lipschitz.sweep.engine.site import worker_devices


def with_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("devices", "device", "workers", "expected"),
    [
        (0, "auto", 2, ["cpu", "cpu"]),
        (0, "cpu", 1, ["cpu"]),
        (2, "cpu", 3, ["cpu"] * 3),
        (2, "auto", None, ["cuda:0", "cuda:1"]),
        (3, "cuda:0,2", None, ["cuda:0", "cuda:2"]),
        (3, "cuda:0,2", 4, ["cuda:0", "cuda:2", "cuda:0", "cuda:2"]),
    ],
)
def test_the_device_of_each_worker(
    monkeypatch: pytest.MonkeyPatch, devices: int, device: str, workers: int | None, expected: list[str]
) -> None:
    with_devices(monkeypatch, devices)
    assert worker_devices(device, workers) == tuple(expected)


@pytest.mark.parametrize(
    ("devices", "device", "said"),
    [
        (0, "cuda", "finds no CUDA device"),
        (1, "cuda:1", "there is no device 1"),
        (1, "gpu", "no such device"),
        (1, "cuda:", "no such device"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, devices: int, device: str, said: str) -> None:
    with_devices(monkeypatch, devices)
    with pytest.raises(InputError, match=said):
        worker_devices(device, None)
