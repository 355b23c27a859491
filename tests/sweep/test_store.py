import os
import time
from pathlib import Path
from socket import gethostname

import numpy as np
import pytest

from lipschitz.errors import InputError
from lipschitz.files import lock
from lipschitz.sweep.store import RunFolder, SweepFolder


def record(step: int) -> dict[str, object]:
    return {"step": step, "seconds": 0.0, "metric": "w1", "value": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_torn_last_line_is_left_out(folder: RunFolder) -> None:
    folder.append_records([record(0), record(1)])
    with (folder.path / "records.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "sec')
    assert folder.records() == [record(0), record(1)]


def test_records_are_cut_back_to_a_size(folder: RunFolder) -> None:
    size = folder.append_records([record(0)])
    folder.append_records([record(1)])
    folder.cut_records(size)
    assert folder.records() == [record(0)]


def test_the_result_alone_marks_a_finished_run(folder: RunFolder) -> None:
    assert folder.status() == "waiting"
    folder.fail("boom")
    assert folder.status() == "failed"
    with folder.writing():
        assert folder.status() == "running"
    folder.finish({"status": "finished"}, {"samples": np.arange(3)})
    assert folder.status() == "finished"
    assert not folder.error.exists()
    folder.finish({"status": "diverged"}, {})
    assert folder.status() == "diverged"
    samples = folder.samples()
    assert samples is not None
    assert list(samples["samples"]) == [0, 1, 2]


def test_half_a_result_is_none(folder: RunFolder) -> None:
    (folder.path / "result.json").write_text('{"status": "fini')
    assert folder.result() is None
    assert folder.status() == "waiting"


def test_arrays_that_would_execute_code_are_not_loaded(folder: RunFolder) -> None:
    with (folder.path / "samples.npz").open("wb") as file:
        np.savez(file, samples=np.array([object()]))
    assert folder.samples() is None


def test_a_number_that_is_not_finite_is_never_written(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        folder.finish({"status": "finished", "last": {"w1": float("nan")}}, {})
    assert folder.status() == "waiting"
    assert list(folder.path.iterdir()) == []


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with lock(tmp_path / "lock", wait=False) as first, lock(tmp_path / "lock", wait=False) as second:
        assert first
        assert not second
    with lock(tmp_path / "lock", wait=False) as third:
        assert third


def test_a_lock_says_who_holds_it(folder: RunFolder) -> None:
    with folder.writing() as first, folder.writing(wait=False) as second:
        assert (first, second) == (True, False)
        assert folder.holder() == f"process {os.getpid()} on {gethostname()}"
    (folder.path / "lock").write_bytes(b"\xff\x1b[31m")
    assert folder.holder() == "another process", "of an earlier version, or damaged"


def test_a_heartbeat_is_removed_with_the_result(folder: RunFolder) -> None:
    assert folder.heartbeat() is None
    folder.beat(50, 120)
    assert folder.heartbeat() == (50, 120, pytest.approx(time.time(), abs=3600))
    folder.finish({"status": "finished"}, {})
    assert not (folder.path / "heartbeat.json").exists()


@pytest.mark.parametrize("torn", ["", '{"step": 5', "[]", '{"step": "x", "steps": 1, "time": 0}', '{"step": 1e999}'])
def test_a_torn_heartbeat_is_none(folder: RunFolder, torn: str) -> None:
    (folder.path / "heartbeat.json").write_text(torn)
    assert folder.heartbeat() is None


def test_a_heartbeat_that_cannot_be_written_costs_nothing(folder: RunFolder) -> None:
    (folder.path / "heartbeat.json").mkdir()
    folder.beat(1, 2)
    assert folder.heartbeat() is None


def test_a_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results of a sweep here"):
        SweepFolder.open(tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(InputError, match=r"sweep\.json: cannot be read"):
        SweepFolder.open(tmp_path)


def timing(device: str, median: float = 1.0) -> dict[str, object]:
    return {"ms_discriminator_step": {"median": median, "low": 1.0, "high": 1.0, "n": 40}, "device": device}


def test_a_timing_is_kept_for_each_kind_of_device(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    assert folder.timing("one", "cpu: a") is None
    for device, median in (("cpu: a", 1.0), ("cuda: b", 2.0), ("cuda: c", 3.0), ("cuda: b", 4.0)):
        folder.write_timing("one", timing(device, median))
    assert folder.timing("one", "cpu: a") == timing("cpu: a", 1.0)
    assert folder.timing("one", "cuda: b") == timing("cuda: b", 4.0)
    assert folder.timing("one", "cuda: c") == timing("cuda: c", 3.0)
    assert folder.timing("one", "cuda: d") is None
    assert folder.timings() == {"one": timing("cuda: b", 4.0)}, "the latest"
    assert [path.name for path in (tmp_path / "timing").iterdir()] == ["one.json"]


def test_the_number_of_workers_is_no_part_of_the_kind(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.write_timing("one", timing("cpu: a, 2 cores; 2 workers of one thread"))
    assert folder.timing("one", "cpu: a, 2 cores") == timing("cpu: a, 2 cores")
    assert folder.timing("one", "cpu: a") is None
    assert folder.timings() == {"one": timing("cpu: a, 2 cores")}


@pytest.mark.parametrize("content", ["{", "[]", '{"ms_discriminator_step": {"median": 1.0}}'])
def test_a_timing_that_cannot_be_read_or_names_no_device_counts_for_none(tmp_path: Path, content: str) -> None:
    folder = SweepFolder(tmp_path)
    (tmp_path / "timing").mkdir()
    (tmp_path / "timing" / "one.json").write_text(content)
    assert folder.timing("one", "cpu: a") is None
    folder.write_timing("one", timing("cpu: a"))
    assert folder.timing("one", "cpu: a") == timing("cpu: a")
