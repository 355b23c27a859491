"""The folder for what can always be made again: unpacked data, trained reference classifiers."""

import os
from pathlib import Path

from lipschitz.errors import InputError


def cache_folder(*parts: str) -> Path:
    """Return ``$XDG_CACHE_HOME/lipschitz/<parts>``, by default below ``~/.cache``, and make sure that it exists.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "lipschitz", *parts)
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot make the cache folder {folder}: {error}; set XDG_CACHE_HOME to another") from error
    return folder
