"""Write and read checkpoints: the newest and the one before it. Each is whole or absent; loading executes no code."""

from pathlib import Path
from typing import Any

import torch

from lipschitz.errors import first_line
from lipschitz.files import keep_previous, write_atomically

FORMAT = 2
"""Version of the content of checkpoints; a run is not resumed from another one."""


def save(state: dict[str, Any], path: Path, previous: Path) -> None:
    """Write ``state`` to ``path``; the checkpoint that was there becomes ``previous``."""
    if path.exists():
        keep_previous(path, previous)
    write_atomically(path, lambda file: torch.save(state, file))


def load(path: Path, previous: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest state that can be read, or None, and a warning for each file that cannot be read."""
    warnings = []
    for candidate in (path, previous):
        if not candidate.exists():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
        except Exception as error:
            # Damaged bytes make the unpickler raise almost any exception.
            # Renamed, so that the next save does not replace the last good checkpoint by the broken one.
            candidate.replace(candidate.with_name(f"{candidate.name}.broken"))
            reason = first_line(error)
            warnings.append(f"{candidate}: broken checkpoint, renamed to {candidate.name}.broken ({reason})")
            continue
        return state, warnings
    return None, warnings
