"""Write and read checkpoints, the newest and the one before it: each is whole, and of its run. Reading runs no code."""

import hashlib
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lipschitz.checksums import SHOWN
from lipschitz.errors import first_line
from lipschitz.files import keep_previous, read_bytes, write_atomically
from lipschitz.out_of_memory import lacks_memory

FORMAT = 3
"""Version of the content of checkpoints; a run is not resumed from another one."""
HEADER = b"lipschitz checkpoint sha256:%b\n"
"""First line of a checkpoint, with the SHA-256 of what follows: torch does not check the content of its archives."""
_HEADER_SIZE = len(HEADER % (b"0" * 64))


class Unusable(Exception):
    """Why a run is not resumed from a checkpoint, in words that follow its path."""


class Earlier(Unusable):
    """The checkpoint is of an earlier version, which had no checksums."""

    def __init__(self) -> None:
        super().__init__("written by an earlier version of lipschitz")


def save(state: dict[str, Any], path: Path, previous: Path) -> None:
    """Write ``state`` to ``path``; the checkpoint that was there becomes ``previous``."""
    content = io.BytesIO()
    torch.save({**state, "format": FORMAT}, content)
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    if path.exists():
        keep_previous(path, previous)
    write_atomically(path, lambda file: file.writelines([HEADER % digest.encode(), content.getbuffer()]))


def read(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, its tensors on the CPU.

    Raises:
        Unusable: the file is damaged, or not what `save` writes.
        OSError: it cannot be read.
    """
    return parse(read_bytes(path))


def parse(file: bytes) -> dict[str, Any]:
    """Return the state in the content of a checkpoint's file, its tensors on the CPU.

    Raises:
        Unusable: it is damaged, or not what `save` writes.
    """
    header, content = file[:_HEADER_SIZE], memoryview(file)[_HEADER_SIZE:]
    if header != HEADER % hashlib.sha256(content).hexdigest().encode():
        # Those were archives of torch as they are.
        raise Earlier if header.startswith(b"PK") else Unusable("damaged: not its checksum")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        if lacks_memory(error):
            raise
        # A file that was made by hand makes the unpickler raise almost any exception.
        raise Unusable(f"no checkpoint ({first_line(error)[:100]})") from None
    if not isinstance(state, dict):
        raise Unusable(f"no checkpoint, but a {type(state).__name__}")
    if state.get("format") != FORMAT:
        raise Unusable(f"of format {state.get('format')!r:.20}, not {FORMAT}")
    return state


def steps_of(path: Path, run: str) -> int | None:
    """Return the number of steps of the run ``run`` that its checkpoint ``path`` holds; None if it is not usable."""
    try:
        state = read(path)
        check(state, {**state["identity"], "run": run}, state["steps"])
    except (OSError, Unusable, KeyError, TypeError):
        return None
    return int(state["steps"])


def check(state: Mapping[str, Any], identity: Mapping[str, str], steps: int) -> None:
    """Check that a state is one of the run with this ``identity`` and number of ``steps``, and whole.

    Raises:
        Unusable: it is not.
    """
    theirs = state.get("identity")
    if not isinstance(theirs, dict):
        raise Unusable("it does not say of which run it is")
    for key in dict.fromkeys([*identity, *theirs]):
        if theirs.get(key) != identity.get(key):
            found, ours = (_shown(key, one.get(key)) for one in (theirs, identity))
            raise Unusable(f"of another run: its {key} is {found}, not {ours}")
    if state.get("steps") != steps:
        raise Unusable(f"of a run of {state.get('steps')!r:.20} steps, not {steps}")
    wrong = [key for key, is_right in _FIELDS.items() if key not in state or not is_right(state[key])]
    if not wrong and not -1 <= state["measured_at"] <= state["step"] <= steps:
        wrong = ["step"]
    if wrong:
        key = wrong[0]
        raise Unusable(f"{key} is {state[key]!r:.20}" if key in state else f"it lacks {key}")


def check_records(state: Mapping[str, Any], records: bytes) -> Any:
    """Return the hash object of the records that a state has seen.

    Args:
        state: as `check` accepts it.
        records: as many bytes of the run's records as it has seen, or fewer where there are fewer.

    Raises:
        Unusable: they are not those that it has seen.
    """
    if len(records) < state["size"]:
        raise Unusable(f"it has seen {state['size']} bytes of records, and {len(records)} are left")
    digest = hashlib.sha256(records)
    if digest.hexdigest() != state["records"]:
        raise Unusable("the records that it has seen have changed")
    return digest


def _shown(key: str, value: Any) -> str:
    """Return a value as a message shows it: of a hash, which is long, the first digits."""
    return str(value) if key == "run" or value is None else str(value)[:SHOWN]


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "step": _is_count,
    "measured_at": lambda value: type(value) is int,
    "seconds": lambda value: type(value) in (int, float) and math.isfinite(value) and value >= 0,
    "size": _is_count,
    "records": lambda value: isinstance(value, str),
    "last": lambda value: isinstance(value, dict),
    "best": lambda value: value is None or (isinstance(value, dict) and {"step", "value", "snapshot"} <= value.keys()),
    "task": lambda value: isinstance(value, dict),
}
"""By key of a state, whether a value is of the right kind."""
