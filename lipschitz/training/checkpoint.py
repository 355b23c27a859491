"""Checkpoints: the newest and the one before it, each whole or not there; loading executes nothing from the file."""

import os
from pathlib import Path
from typing import Any

import torch

from lipschitz.errors import first_line
from lipschitz.files import write_atomically


def save(state: dict[str, Any], path: Path, previous: Path) -> None:
    """Write ``state`` to ``path``; the checkpoint that was there becomes ``previous``."""
    if path.exists():
        # A second name for the old file: at no moment is there no checkpoint under `path`.
        spare = previous.with_name(f".{previous.name}")
        spare.unlink(missing_ok=True)
        os.link(path, spare)
        spare.replace(previous)
    write_atomically(path, lambda file: torch.save(state, file))


def load(path: Path, previous: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest state that can be read, or None, and a line for each file that could not be."""
    broken = []
    for candidate in (path, previous):
        if not candidate.exists():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
        except Exception as error:
            # Damaged bytes make the unpickler raise nearly anything; whatever it is, the file cannot be read.
            # Set aside: the next save must not put a broken file in the place of the last good one.
            candidate.replace(candidate.with_name(f"{candidate.name}.broken"))
            broken.append(f"{candidate}: broken checkpoint, set aside as {candidate.name}.broken ({first_line(error)})")
            continue
        return state, broken
    return None, broken
