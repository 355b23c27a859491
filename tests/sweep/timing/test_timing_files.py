"""The folder ``timing/``: processes that time at once lose no timing, and the first on a kind of device counts."""

from pathlib import Path
from typing import Any

import pytest

from lipschitz.sweep.timing import timing_files
from lipschitz.sweep.timing.timing_files import Timings

NAME = "mlp-0a1b"


@pytest.fixture(autouse=True)
def any_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing_files, "check_timing", lambda timing: timing)


def test_two_that_time_at_once_on_two_kinds_of_device_both_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings, write = Timings(tmp_path / "timing"), timing_files.write_sealed

    def second_first(path: Path, value: dict[str, Any], name: str) -> None:
        monkeypatch.setattr(timing_files, "write_sealed", write)
        timings.write_beside_others(NAME, {"device": "cuda: b", "n": 2})
        write(path, value, name)

    monkeypatch.setattr(timing_files, "write_sealed", second_first)
    timings.write_beside_others(NAME, {"device": "cpu: a", "n": 1})
    assert timings.on_device(NAME, "cpu: a") == {"device": "cpu: a", "n": 1}
    assert timings.on_device(NAME, "cuda: b") == {"device": "cuda: b", "n": 2}
    assert timings.latest().keys() == {NAME}
    assert not [path.name for path in (tmp_path / "timing").iterdir() if path.name.startswith(".")]


def test_the_first_timing_on_a_kind_of_device_counts_and_may_be_added_to(tmp_path: Path) -> None:
    timings = Timings(tmp_path / "timing")
    timings.write_beside_others(NAME, {"device": "cpu: a", "ms": 1.0})
    timings.write_beside_others(NAME, {"device": "cpu: a", "ms": 2.0})
    assert timings.on_device(NAME, "cpu: a") == {"device": "cpu: a", "ms": 1.0}
    timings.write_beside_others(NAME, {"device": "cpu: a", "ms": 3.0, "pack": 4})
    assert timings.on_device(NAME, "cpu: a") == {"device": "cpu: a", "ms": 1.0, "pack": 4}
    timings.write_beside_others(NAME, {"device": "cpu: a", "ms": 1.0, "pack": 4, "workers": []}, replaces=True)
    assert timings.on_device(NAME, "cpu: a") == {"device": "cpu: a", "ms": 1.0, "pack": 4, "workers": []}


def test_a_sweep_by_itself_replaces_a_timing_and_keeps_those_on_other_devices(tmp_path: Path) -> None:
    timings = Timings(tmp_path / "timing")
    timings.write_beside_others(NAME, {"device": "cpu: a", "n": 1})
    timings.write_beside_others(NAME, {"device": "cuda: b", "n": 2})
    timings.write_beside_others("mlp-0a1b.c-2d3e", {"device": "cpu: a", "n": 3})
    timings.write(NAME, {"device": "cpu: a", "n": 4})
    assert sorted(path.name.count(".") for path in (tmp_path / "timing").iterdir()) == [1, 3], "one file of each"
    found = [timings.on_device(NAME, device) for device in ("cpu: a", "cuda: b", "cuda: c")]
    assert found == [{"device": "cpu: a", "n": 4}, {"device": "cuda: b", "n": 2}, None]
    assert {name: timing["n"] for name, timing in timings.latest().items()} == {NAME: 4, "mlp-0a1b.c-2d3e": 3}
