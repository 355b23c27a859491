import errno
import os
import shutil
from pathlib import Path

import pytest

from lipschitz.files import full_disk, keep_previous, read_json, remove_temporaries, write_atomically, write_text
from lipschitz.locks import lock


def refuse(number: int) -> object:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_is_forced_to_disk_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, bool]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        calls.append(("fsync", Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path.resolve()))
        fsync(descriptor)

    def replaced(path: Path, target: Path) -> None:
        calls.append(("replace", False))
        replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_text(tmp_path / "a.json", "{}")
    assert calls == [("fsync", False), ("replace", False), ("fsync", True)], "the file, its name, the folder"


def test_a_file_system_that_cannot_force_a_folder_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", refuse(errno.EACCES))
    write_atomically(tmp_path / "a", lambda file: file.write(b"a"))
    assert names(tmp_path) == ["a"]


def test_the_previous_file_is_a_second_link(tmp_path: Path) -> None:
    path, previous = tmp_path / "new", tmp_path / "old"
    path.write_bytes(b"1")
    keep_previous(path, previous)
    assert previous.samefile(path)
    assert names(tmp_path) == ["new", "old"]


def test_nothing_is_left_where_the_previous_file_is_the_same_one_already(tmp_path: Path) -> None:
    """As after a crash between the link and the new file; a rename of one link over the other does nothing."""
    path, previous = tmp_path / "new", tmp_path / "previous"
    path.write_bytes(b"content")
    for _ in range(2):
        keep_previous(path, previous)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "previous"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.ENOSYS])
def test_without_hard_links_the_previous_file_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path, previous = tmp_path / "new", tmp_path / "old"
    path.write_bytes(b"2")
    previous.write_bytes(b"1")
    monkeypatch.setattr(os, "link", refuse(number))
    keep_previous(path, previous)
    assert previous.read_bytes() == b"2"
    assert not previous.samefile(path)
    assert names(tmp_path) == ["new", "old"]


def test_a_copy_that_fails_leaves_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, previous = tmp_path / "new", tmp_path / "old"
    path.write_bytes(b"2")
    previous.write_bytes(b"1")
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    monkeypatch.setattr(shutil, "copyfileobj", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as caught:
        keep_previous(path, previous)
    assert full_disk(caught.value)
    assert (path.read_bytes(), previous.read_bytes()) == (b"2", b"1")
    assert names(tmp_path) == ["new", "old"]


def test_temporary_files_of_dead_processes_are_removed(tmp_path: Path) -> None:
    dead = 2**22 + 1  # above the largest id that Linux gives
    old, young, alive = f".checkpoint.pt.{dead}", f".a.{dead}", f".b.{os.getpid()}"
    for name in (old, young, alive, ".hidden", "checkpoint.pt", f"c.{dead}"):
        (tmp_path / name).touch()
    for name in (old, alive, ".hidden"):
        os.utime(tmp_path / name, (0, 0))
    remove_temporaries(tmp_path, is_locked=False)
    assert names(tmp_path) == sorted([young, alive, ".hidden", "checkpoint.pt", f"c.{dead}"])
    remove_temporaries(tmp_path, is_locked=True)
    assert names(tmp_path) == sorted([".hidden", "checkpoint.pt", f"c.{dead}"])
    remove_temporaries(tmp_path / "nowhere", is_locked=True)


def test_a_full_disk_is_known_also_behind_another_error() -> None:
    full, quota = OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "full")
    assert full_disk(full) is full
    assert full_disk(quota) is quota
    behind = RuntimeError("writer failed")
    behind.__context__ = full
    assert full_disk(behind) is full
    assert full_disk(OSError(errno.EIO, "broken")) is None
    assert full_disk(None) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"null", b"{", b"\xff\xfe", b"\0" * 64, b'{"a": NaN}', b"[" * 99999, b"9" * 9999]
)
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        read_json(tmp_path / "a.json")


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
            read_json(tmp_path / name)
        with pytest.raises(OSError, match=name), lock(tmp_path / name, wait=True):
            pass


def test_a_name_of_bytes_that_are_no_text_is_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "error.txt", f"no such file: {os.fsdecode(bytes([0x64, 0xFF]))}")
    assert (tmp_path / "error.txt").read_text(encoding="utf-8") == "no such file: d\\udcff"
