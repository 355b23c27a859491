"""Lock a sweep's folder of results, refuse one that another sweep has locked, and write the definition."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.growth import refuse_smaller
from lipschitz.sweep.joining.shared_folder import folder_of_one
from lipschitz.sweep.store import SweepFolder


@contextmanager
def locked_folder(sweep: Sweep, *, force: bool, say: Callable[[str], object]) -> Iterator[SweepFolder]:
    """Hold the lock of the sweep's folder for the block; the folder is made if need be.

    Raises:
        InputError: another sweep holds the lock, or processes that joined a sweep are in the folder; the folder has
            runs that the sweep does not have and ``force`` is not set; or it cannot be written.
    """
    folder = SweepFolder(sweep.folder)
    # Checked before anything is made, so that a refusal leaves no trace.
    if not force:
        refuse_smaller(folder, sweep)
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
        with folder_of_one(sweep, folder, say):
            yield folder
    finally:
        lock.__exit__(None, None, None)


def write_definition(sweep: Sweep, folder: SweepFolder, provenance: dict[str, Any], *, measures: bool) -> None:
    """Write ``sweep.json`` and, if ``measures``, ``provenance.json``: a sweep that is finished keeps its provenance.

    Raises:
        InputError: the folder cannot be written.
    """
    with _writable(folder.path):
        if measures or not folder.has_provenance():
            folder.write_provenance(provenance)
        folder.define(sweep.definition())


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: results cannot be written here: {error.strerror or error}; use another --out"
        ) from None
