"""Let a run go on from the best checkpoint of the other attempts at it: they may still be written to, and are read."""

import shutil
from contextlib import suppress
from typing import NamedTuple

from lipschitz.files import read_bytes, write_bytes
from lipschitz.sweep.attempt import KEPT, Attempt
from lipschitz.sweep.run_paths import ATTEMPT
from lipschitz.training import checkpoint
from lipschitz.training.checkpoint import Unusable


class Source(NamedTuple):
    """A checkpoint that a run may go on from."""

    step: int
    content: bytes
    """Of its file."""
    records: bytes
    """Those that it has seen."""
    attempt: Attempt


def go_on(folder: Attempt, device: str) -> None:
    """Copy the best checkpoint of the other attempts at a run to ``folder``, with its records, if it is a better one.

    The numbers of the run then equal those of an undisturbed one, whoever trained it before. Attempts of others that
    have come less far than the best few are removed.

    Args:
        folder: an attempt that has just begun; in a sweep by itself this process holds the lock of the run.
        device: type of the device, ``cpu`` or ``cuda``. A checkpoint of another type is left alone.
    """
    others = Attempt.others(folder.run.path, folder.path)
    others = [attempt for attempt in others if attempt.begun_on() in ("", device)]
    found = [source for attempt in others if (source := _source(attempt))]
    found.sort(key=lambda source: source.step, reverse=True)
    own = _source(folder)
    if found and (own is None or found[0].step > own.step):
        _copy(found[0], folder)
    kept = {source.attempt.path for source in found[:KEPT]}
    for attempt in others:
        if attempt.path not in kept:
            attempt.drop()


def _source(attempt: Attempt) -> Source | None:
    """Return the newest checkpoint of an attempt that can be used, or None."""
    for path in (attempt.checkpoint, attempt.previous_checkpoint):
        # In this order: records are appended, so that those of a checkpoint that was read are there.
        with suppress(OSError, Unusable, KeyError, TypeError, ValueError):
            content = read_bytes(path)
            state = checkpoint.parse(content)
            checkpoint.check(state, {**state["identity"], "run": attempt.run_id}, state["steps"])
            records = attempt.recorded(state["size"])
            checkpoint.check_records(state, records)
            return Source(int(state["step"]), content, records, attempt)
    return None


def _copy(source: Source, folder: Attempt) -> None:
    # What observers have written goes on, too.
    for path in source.attempt.path.iterdir():
        if path.name not in _OWN and not path.name.startswith((".", f"{ATTEMPT}-")):
            with suppress(OSError):
                if path.is_dir():
                    shutil.copytree(path, folder.path / path.name, dirs_exist_ok=True)
                else:
                    shutil.copyfile(path, folder.path / path.name)
    write_bytes(folder.path / "records.jsonl", source.records)
    with suppress(OSError, ValueError):
        folder.define(source.attempt.definition())
    write_bytes(folder.checkpoint, source.content)


_OWN = (
    "run.json",
    "records.jsonl",
    "checkpoint.pt",
    "checkpoint.prev.pt",
    "result.json",
    "samples.npz",
    "networks.pt",
    "heartbeat.json",
    "error.txt",
    "lock",
)
"""Files of a run that the package itself writes; the others are of observers."""
