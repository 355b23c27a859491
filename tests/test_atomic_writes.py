"""Atomic writes: the content is on the disk before it takes the place of the old file."""

import os
from pathlib import Path
from typing import Any

import pytest

from lipschitz.files import write_text


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
