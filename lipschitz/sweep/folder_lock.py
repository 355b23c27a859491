"""Lock a sweep's folder of results, refuse one that another sweep has locked or defined, and write the definition."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lipschitz.errors import InputError, found
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.store import SweepFolder


@contextmanager
def locked_folder(sweep: Sweep, *, force: bool) -> Iterator[SweepFolder]:
    """Hold the lock of the sweep's folder for the block; the folder is made if need be.

    Raises:
        InputError: another sweep holds the lock; the folder was made by another definition and ``force`` is not set; or
            it cannot be written.
    """
    folder = SweepFolder(sweep.folder)
    # Checked before anything is made, so that a refusal leaves no trace.
    if not force:
        refuse_other_definition(folder, sweep)
    with _writable(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = folder.writing()
        is_free = lock.__enter__()
    try:
        if not is_free:
            raise InputError(
                f"{folder.path}: another sweep is running in this folder ({folder.holder()}); wait for it, or use "
                "another --out"
            )
        yield folder
    finally:
        lock.__exit__(None, None, None)


def write_definition(sweep: Sweep, folder: SweepFolder, provenance: dict[str, Any], *, measures: bool) -> None:
    """Write ``sweep.json`` and, if ``measures``, ``provenance.json``: a sweep that is finished keeps its provenance.

    Raises:
        InputError: the folder cannot be written.
    """
    with _writable(folder.path):
        if measures or not _has_provenance(folder):
            folder.write_provenance(provenance)
        folder.define(sweep.definition())


def _has_provenance(folder: SweepFolder) -> bool:
    """Say whether there is a provenance; one that cannot be read is written anew."""
    try:
        return bool(folder.provenance())
    except (OSError, ValueError):
        return False


def refuse_other_definition(folder: SweepFolder, sweep: Sweep) -> None:
    """Check that a folder of results was made by the definition of ``sweep``, or by none.

    Raises:
        InputError: it was made by another one.
    """
    try:
        existing = folder.definition()
    except (OSError, ValueError):
        return
    if not isinstance(existing.get("sweep"), dict):
        return
    changes = list(_differences(existing["sweep"], sweep.content))
    if changes:
        raise InputError(
            f"{folder.path}: made by another definition of '{existing.get('name')}': {'; '.join(changes)}; use another "
            "--out, or --force to continue here with the new definition (runs that both have are kept)"
        )


def _differences(existing: Any, new: Any, place: str = "") -> Iterator[str]:
    if isinstance(existing, dict) and isinstance(new, dict):
        for key in sorted({*existing, *new}):
            yield from _differences(existing.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif existing != new:
        yield f"{place} was {found(existing)}, is {found(new)}"


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: results cannot be written here: {error.strerror or error}; use another --out"
        ) from None
