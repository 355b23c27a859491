"""An attempt at a run by a process that joined a sweep: a folder of its own, whose result counts if it is the first.

Nothing keeps two processes from making the same run, and nothing has to: each writes to its own attempt, and the file
system decides by link(2) whose result is that of the run. Attempts of others are only read. No torch.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from lipschitz.checksums import write_sealed
from lipschitz.files import link_first, sync_folder
from lipschitz.sweep.run_folder import RunFolder, Status
from lipschitz.sweep.run_paths import ATTEMPT

KEPT = 3
"""Attempts of others that stay while a run is made, those that have come farthest."""


class Superseded(Exception):
    """The run is over: another attempt was the first to have a result."""


class Attempt(RunFolder):
    """The folder ``runs/<run id>/attempt-<token>/``: like that of a run, and written by one process alone.

    Args:
        run: the folder of the run.
        name: of the attempt's folder in it; empty for the folder of the run itself, which a sweep by itself writes.
    """

    def __init__(self, run: Path, name: str = "") -> None:
        super().__init__(run / name)
        self.run = RunFolder(run)
        self.run_id, self.error = self.run.run_id, self.run.error
        self.is_alone = not name
        """Whether a sweep by itself writes it."""

    @property
    def token(self) -> str:
        """The token of the member that writes it; empty for a sweep by itself."""
        return "" if self.is_alone else self.path.name.split("-")[1]

    def attempts(self) -> list[Path]:
        """Return no attempts: what is read of this folder is in it."""
        return []

    def begun_on(self) -> str:
        """Return the type of the device that it was last trained on, ``cpu`` or ``cuda``; empty where not known."""
        return next((str(origin.get("device")).partition(":")[0] for origin in self.origins()[-1:]), "")

    def has_checkpoint(self) -> bool:
        """Say whether there is a checkpoint in it."""
        return self.checkpoint.exists() or self.previous_checkpoint.exists()

    def is_over(self) -> bool:
        """Say whether the run has a result, this attempt's or another one's."""
        return self.run.is_over()

    def result(self) -> dict[str, Any] | None:
        """Return the run's result."""
        return self.run.result()

    def status(self, *, is_claimed: bool = False) -> Status:
        """Return the status of the run."""
        return self.run.status(is_claimed=is_claimed)

    def _checked(self, *, networks: bool = False) -> tuple[list[tuple[Path, str]], dict[str, Any]]:
        return self.run._checked(networks=networks)

    def fail(self, reason: str) -> None:
        """Write why the run failed, unless another attempt has ended it."""
        if self.is_alone or not self.is_over():
            self.run.fail(reason)

    @classmethod
    def others(cls, run: Path, own: Path) -> list["Attempt"]:
        """Return every attempt at a run but that whose folder is ``own``, also what a sweep by itself has left."""
        found = [cls(run, path.name) for path in RunFolder(run).attempts()]
        return [attempt for attempt in [cls(run), *found] if attempt.path != own]

    def open(self) -> None:
        """Make the folder."""
        self.path.mkdir(parents=True, exist_ok=True)

    def is_gone(self) -> bool:
        """Say whether another process has removed the folder: see `go_on`."""
        try:
            self.path.stat()
        except FileNotFoundError:
            return not self.is_alone
        except OSError:
            return False
        return False

    def drop(self) -> None:
        """Remove the folder of an attempt at a run that is not over; that of the run itself stays."""
        if not self.is_alone:
            shutil.rmtree(self.path, ignore_errors=True)

    def _publish(self, result: dict[str, Any]) -> None:
        """Make the result that of the run, and this attempt's files those of the run, if no other has been faster.

        Raises:
            Superseded: another one has.
        """
        own = self.path / f".result.json.{os.getpid()}" if self.is_alone else self._result
        named = {} if self.is_alone else {ATTEMPT: self.path.name}
        write_sealed(own, {**result, **named}, self._named(self._result))
        if not self._link(own):
            raise Superseded
        # The files stay until the observers, too, have written theirs: see `clear_attempts`.
        sync_folder(self.run.path)

    def _link(self, own: Path) -> bool:
        if not self.is_alone:
            return link_first(own, self.run._result)
        try:
            return link_first(own, self._result)
        except OSError:
            # A folder without hard links, in which no process can join.
            if self.is_over():
                return False
            own.replace(self._result)
            return True
        finally:
            own.unlink(missing_ok=True)

    def drop_checkpoints(self) -> None:
        """Remove the run's checkpoints, which nothing reads once it is over."""
        self.run.drop_checkpoints()


def clear_attempts(run: RunFolder, *, is_free: bool = False) -> None:
    """Move the files of the attempt that a run's result names to the run's folder, and remove all attempts.

    Nothing is done for a run that is not over, and no attempt is removed before all files of the result are in the
    run's folder. Any process may do it, at any time and again: a result never changes.

    Args:
        run: the folder of the run.
        is_free: whether it is known that no sweep by itself is in the folder. Otherwise nothing is moved while the lock
            names one that may be alive: it looks for a result once it has the lock, and ends without one of its own.
    """
    if not (attempts := run.attempts()) or not run.is_over() or (not is_free and run.is_locked()):
        return
    # Whatever cannot be read or moved now is left to the next process that looks.
    with suppress(OSError, ValueError):
        published = run.published()
        if published is None and run.damage():
            return
        if published in attempts and not _moved(run, published):
            return
        for path in attempts:
            shutil.rmtree(path, ignore_errors=True)


def _moved(run: RunFolder, published: Path) -> bool:
    """Move the files of an attempt to the run's folder; say whether all that belong to the result are there.

    Raises:
        OSError: it cannot be seen what is there.
    """
    stay = ["result.json", "heartbeat.json"]
    if not run.keeps_checkpoints():
        stay += [run.checkpoint.name, run.previous_checkpoint.name]
    for path in _files(published):
        if not path.name.startswith(".") and path.name not in stay:
            target = run.path / path.name
            # Another process may be doing the same.
            with suppress(OSError):
                if target.is_dir():
                    # Of an observer, as a sweep by itself has left it.
                    shutil.copytree(path, target, dirs_exist_ok=True)
                else:
                    path.replace(target)
    left, there = ({path.name for path in _files(folder)} for folder in (published, run.path))
    needed = run.hashed() | {"run.json"}
    return needed <= there and not needed & left


def _files(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing where it is gone, and only then."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
