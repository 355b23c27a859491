"""End a process at a crash point: before or after one of its operations on the files of a folder.

A power cut before an fsync may lose what was written since the last one: it also ends there with that part cut in half,
and with zeros in its place.
"""

import builtins
import io
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CRASHED = 77
"""Exit code of a process that ended at its crash point."""
BY_PATH = ("link", "mkdir", "remove", "rename", "replace", "rmdir", "truncate", "unlink")
BY_DESCRIPTOR = ("fsync", "fdatasync", "ftruncate")


def crash_points(call: Callable[[], object], folder: Path) -> list[str]:
    """Return the names of all crash points of ``call`` on the files below ``folder``; the call is made in a process."""
    log = folder.with_name(f"{folder.name}.points")

    def logged() -> None:
        points = Operations(folder, None)
        points.patch()
        call()
        log.write_text(json.dumps(points.seen))

    assert in_process(logged, folder) == 0
    names: list[str] = json.loads(log.read_text())
    return names


def crashed(call: Callable[[], object], folder: Path, at: int) -> bool:
    """Make ``call`` in a process that ends at its crash point number ``at``; return whether it came to it."""

    def crashing() -> None:
        Operations(folder, at).patch()
        call()

    code = in_process(crashing, folder)
    assert code in (0, CRASHED), folder.with_name(f"{folder.name}.traceback").read_text()
    return code == CRASHED


def in_process(call: Callable[[], object], folder: Path) -> int:
    """Make ``call`` in a forked process and return its exit code; a traceback is written next to ``folder``."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:
            folder.with_name(f"{folder.name}.traceback").write_text(traceback.format_exc())
        finally:
            # Nothing of the parent, such as a test's clean-up, happens in this process, too.
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Operations:
    """Counts the crash points of this process on the files below ``folder``, and ends it at number ``at``."""

    def __init__(self, folder: Path, at: int | None) -> None:
        self._folder, self._at = os.path.realpath(folder), at
        self._synced: dict[int, int] = {}
        self.seen: list[str] = []

    def patch(self) -> None:
        """Replace the functions that change files, in this process."""
        for name in BY_PATH:
            setattr(os, name, self._by_path(name, getattr(os, name)))
        for name in BY_DESCRIPTOR:
            setattr(os, name, self._by_descriptor(name, getattr(os, name)))
        io.open = builtins.open = self._opening(io.open)
        os.open = self._opening_descriptor(os.open)

    def _point(self, name: str, path: Any, damage: Callable[[], object] = lambda: None) -> None:
        self.seen.append(f"{name} {os.path.relpath(os.path.realpath(path), self._folder)}")
        if len(self.seen) - 1 == self._at:
            damage()
            os._exit(CRASHED)

    def _concerns(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(self._folder + os.sep)

    def _by_path(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(path: Any, *arguments: Any, **options: Any) -> Any:
            if not self._concerns(path):
                return original(path, *arguments, **options)
            self._point(f"before {name}", path)
            result = original(path, *arguments, **options)
            self._point(f"after {name}", path)
            return result

        return operation

    def _by_descriptor(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(descriptor: int, *arguments: Any) -> Any:
            path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            if not self._concerns(path):
                return original(descriptor, *arguments)
            self._point(f"before {name}", path)
            if Path(path).is_file() and name != "ftruncate":
                start, end = self._synced.get(descriptor, 0), os.fstat(descriptor).st_size
                self._point(f"halved at {name}", path, lambda: os.truncate(path, (start + end) // 2))
                self._point(f"zeroed at {name}", path, lambda: _overwrite(path, start, end))
                self._synced[descriptor] = end
            result = original(descriptor, *arguments)
            self._point(f"after {name}", path)
            return result

        return operation

    def _opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opening(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not self._concerns(path) or not set(mode) & set("wxa+"):
                return original(path, mode, *arguments, **options)
            self._point("before open", path)
            file = original(path, mode, *arguments, **options)
            self._point("after open", path)
            self._synced[file.fileno()] = os.fstat(file.fileno()).st_size
            return file

        return opening

    def _opening_descriptor(self, original: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if not self._concerns(path) or not flags & (os.O_WRONLY | os.O_RDWR):
                return original(path, flags, *arguments, **options)
            self._point("before open", path)
            descriptor = original(path, flags, *arguments, **options)
            self._point("after open", path)
            self._synced[descriptor] = os.fstat(descriptor).st_size
            return descriptor

        return opening


def _overwrite(path: str, start: int, end: int) -> None:
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, bytes(end - start), start)
