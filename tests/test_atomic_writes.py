"""Writes are on the disk before anything relies on them; a failed one leaves the old file, and names the right one."""

import os
from pathlib import Path
from typing import Any

import pytest

from lipschitz.files import write_atomically, write_json, write_text
from lipschitz.sweep.run_folder import RunFolder


def test_the_content_is_flushed_to_disk_before_it_replaces_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, events = tmp_path / "file", []
    write_text(path, "old")
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        found = os.fstat(descriptor)
        events.append(("flush", found.st_ino, found.st_size))
        fsync(descriptor)

    def renamed(source: Any, target: Any, **options: Any) -> None:
        found = Path(source).stat()
        events.append(("rename", found.st_ino, found.st_size))
        assert path.read_text() == "old"
        replace(source, target, **options)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    write_text(path, "new content")
    assert path.read_text() == "new content"
    inode = path.stat().st_ino
    assert [event for event in events if event[1] == inode] == [("flush", inode, 11), ("rename", inode, 11)]


def test_records_are_on_the_disk_when_their_size_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: dict[int, int] = {}

    def flush(descriptor: int) -> None:
        found = os.fstat(descriptor)
        flushed[found.st_ino] = found.st_size

    monkeypatch.setattr(os, "fsync", flush)
    folder = RunFolder(tmp_path)
    for _ in range(2):
        size = folder.append_records([{"step": 0, "seconds": 0.0, "metric": "w1", "value": 1.0}])
        assert flushed[(tmp_path / "records.jsonl").stat().st_ino] == size == folder.records_size()
    with pytest.raises(ValueError, match="JSON compliant"):
        folder.append_records([{"value": float("inf")}])
    assert folder.records_size() == size


def test_a_failed_write_leaves_the_old_file_alone_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as raised:
        write_atomically(path, fail)
    assert (raised.value.filename, raised.value.filename2) == (str(path), None)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]


def test_looking_at_a_run_writes_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert (folder.is_locked(), folder.status()) == (False, "waiting")
    assert list(tmp_path.iterdir()) == []


def test_a_reason_that_cannot_be_written_hides_no_error(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "missing")
    folder.fail("boom")
    assert not folder.error.exists()
