import fcntl
import os
import random
import time
from pathlib import Path
from socket import gethostname

import numpy as np
import pytest

from lipschitz.errors import InputError
from lipschitz.locks import lock
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder


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


def test_half_a_result_is_none_and_the_run_damaged(folder: RunFolder) -> None:
    (folder.path / "result.json").write_text('{"status": "fini')
    assert folder.result() is None
    assert folder.status() == "damaged"


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
    assert folder.heartbeat.read() is None
    folder.heartbeat.write(50, 120)
    assert folder.heartbeat.read()[:3] == (50, 120, pytest.approx(time.time(), abs=3600))
    folder.finish({"status": "finished"}, {})
    assert not (folder.path / "heartbeat.json").exists()


@pytest.mark.parametrize("torn", ["", '{"step": 5', "[]", '{"step": "x", "steps": 1, "time": 0}', '{"step": 1e999}'])
def test_a_torn_heartbeat_is_none(folder: RunFolder, torn: str) -> None:
    (folder.path / "heartbeat.json").write_text(torn)
    assert folder.heartbeat.read() is None


def test_a_heartbeat_that_cannot_be_written_costs_nothing(folder: RunFolder) -> None:
    (folder.path / "heartbeat.json").mkdir()
    folder.heartbeat.write(1, 2)
    assert folder.heartbeat.read() is None


def test_a_run_waits_for_its_lock_and_a_sweep_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(fcntl, "flock", lambda file, how: asked.append(how))
    with RunFolder(tmp_path / "runs" / "one").writing(), SweepFolder(tmp_path).writing():
        assert asked == [fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB]


def test_a_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results of a sweep here"):
        SweepFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file; expected a folder of results$"):
        SweepFolder.open(tmp_path / "file")
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(InputError, match=r"sweep\.json: cannot be read"):
        SweepFolder.open(tmp_path)


def timing(device: str, median: float = 1.0) -> dict[str, object]:
    return {"ms_discriminator_step": {"median": median, "low": 1.0, "high": 1.0, "n": 40}, "n_dis": 1, "device": device}


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


def finished(path: Path) -> RunFolder:
    """Return a run that is over."""
    path.mkdir()
    folder = RunFolder(path)
    folder.define({"id": path.name, "seed": 0, "steps": 2, "inputs": {"data": "ab" * 32}})
    folder.append_records([record(0), record(1), record(2)])
    folder.finish({"status": "finished", "step": 2, "last": {"w1": 0.5}}, {"samples": np.arange(30.0)})
    return folder


@pytest.mark.parametrize("name", ["run.json", "result.json", "records.jsonl", "samples.npz"])
def test_no_flipped_bit_in_a_file_of_a_finished_run_passes(tmp_path: Path, name: str) -> None:
    folder = finished(tmp_path / "run")
    whole, result = (folder.path / name).read_bytes(), folder.result()
    assert folder.damage() == []
    rng = random.Random(0)
    for _ in range(40):
        place = rng.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        (folder.path / name).write_bytes(damaged)
        assert folder.status() == "damaged"
        assert [path.name for path, _ in folder.damage()] == [name]
    (folder.path / name).write_bytes(whole)
    assert folder.status() == "finished"
    assert folder.result() == result == {"status": "finished", "step": 2, "last": {"w1": 0.5}}


@pytest.mark.parametrize("name", ["run.json", "result.json", "records.jsonl", "samples.npz"])
def test_a_file_of_another_run_is_noticed(tmp_path: Path, name: str) -> None:
    ours, theirs = (finished(tmp_path / run) for run in ("ours", "theirs"))
    theirs.append_records([record(3)])
    theirs.finish({"status": "finished"}, {"samples": np.arange(4)})
    (ours.path / name).write_bytes((theirs.path / name).read_bytes())
    assert ours.status() == "damaged"


def test_a_record_that_changed_before_the_run_ended_is_noticed(tmp_path: Path) -> None:
    """The hash is that of the records as they were written."""
    folder = finished(tmp_path / "run")
    folder.finish({"status": "finished"}, {}, {"records.jsonl": "0" * 64})
    assert folder.status() == "damaged"


def test_damaged_files_are_set_aside_with_the_result(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    assert folder.set_aside_damage() == []
    folder.checkpoint.write_bytes(b"")
    (folder.path / "samples.npz").write_bytes(b"torn")
    (line,) = folder.set_aside_damage()
    assert "samples.npz: its SHA-256 is " in line
    assert "the run is made again, and these are set aside: samples.npz.broken, result.json.broken" in line
    assert folder.status() == "waiting"
    assert len(folder.records()) == 3, "the checkpoint may vouch for them"


def test_without_a_checkpoint_the_records_are_kept_too(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder.path / "samples.npz").unlink()
    (line,) = folder.set_aside_damage()
    assert line.endswith("set aside: records.jsonl.broken, result.json.broken")
    assert folder.records() == []


def test_a_run_of_an_earlier_version_is_finished(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder.path / "result.json").write_text('{"status": "finished"}')
    (folder.path / "run.json").write_text('{"id": "run"}')
    assert folder.status() == "finished"
    (folder.path / "records.jsonl").write_bytes(bytes(100) + b"\n")
    assert folder.status() == "damaged"


@pytest.mark.parametrize("name", ["sweep.json", "provenance.json", "timing/one.json"])
def test_a_changed_digit_in_a_file_of_the_sweep_is_noticed(tmp_path: Path, name: str) -> None:
    folder = SweepFolder(tmp_path)
    folder.define({"name": "a", "runs": ["1"]})
    folder.write_provenance({"commit": "1"})
    folder.write_timing("one", timing("cpu: a"))
    read = {"sweep.json": folder.definition, "provenance.json": folder.provenance, "timing/one.json": folder.timings}
    assert read[name]()
    path = tmp_path / name
    path.write_text(path.read_text().replace("1", "2", 1))
    if "timing" in name:
        warnings: list[str] = []
        assert folder.timings(warnings) == {}
        assert "does not have its checksum" in warnings[0]
    else:
        with pytest.raises(ValueError, match="does not have its checksum"):
            read[name]()
    assert folder.timing("one", "cpu: a") == (None if "timing" in name else timing("cpu: a"))


def test_the_timing_of_another_configuration_is_noticed(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.write_timing("one", timing("cpu: a"))
    (tmp_path / "timing" / "one.json").rename(tmp_path / "timing" / "two.json")
    assert folder.timing("two", "cpu: a") is None
