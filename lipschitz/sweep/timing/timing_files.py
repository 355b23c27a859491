"""The folder ``timing/``: the timings of each configuration on each kind of device. No torch."""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lipschitz.checksums import read_sealed, write_sealed
from lipschitz.errors import first_line
from lipschitz.files import link_first
from lipschitz.sweep.file_shapes import check_timing

ELSEWHERE = "elsewhere"
DRIFT = 0.1
"""Relative difference between the medians of rounds above which there is a warning."""


def iteration_ms(timing: Mapping[str, Any]) -> float:
    """Return the milliseconds of one iteration: n_dis discriminator steps, and a generator step where there is one.

    Measured as a whole where it was captured as a CUDA graph, else the sum of its parts.
    """
    if "ms_iteration" in timing:
        return float(timing["ms_iteration"]["median"])
    generator = timing["ms_generator_step"]["median"] if "ms_generator_step" in timing else 0.0
    return float(timing["n_dis"] * timing["ms_discriminator_step"]["median"] + generator)


def seconds_of_an_iteration(timing: Mapping[str, Any], pack: int) -> float:
    """Return the seconds of a worker per iteration, by the throughput of ``pack`` runs where it was measured."""
    measured = {each["runs"]: each["iterations_per_second"] for each in timing.get("packs", [])}
    return 1 / float(measured[pack]) if pack in measured else iteration_ms(timing) / 1000


class Timings:
    """Reads and writes the latest timing of each configuration and, under ``elsewhere``, those on other devices.

    A timing counts only on the kind of device that it names. A sweep by itself keeps all those of a configuration in
    ``<configuration>.json``. A process that joined a sweep writes ``<configuration>.<hash of the kind>.json``, which
    counts before the other: no two processes then change one file, and the first timing counts. In older folders the
    number of workers follows the name after a ``;``; it is ignored, because only one worker is timed at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def latest(self, warnings: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the latest timing of each configuration; ``warnings`` gets a line for each that cannot be read."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self._path.glob("*.json")):
            named = _OF_A_KIND.fullmatch(path.stem)
            configuration = named[1] if named else path.stem
            try:
                # That of a sweep by itself, or else of a kind that is the same for all configurations.
                timing = _read(path)[0]
                found[configuration] = found.get(configuration, timing) if named else timing
            except (OSError, ValueError) as error:
                if warnings is not None:
                    reason = first_line(error, with_type=True)
                    warnings.append(f"{path}: cannot be read; cost is not reported ({reason})")
        return found

    def on_device(self, configuration: str, device: str) -> dict[str, Any] | None:
        """Return the timing of ``configuration`` on the kind of device ``device``, or None."""
        for path in (self._of_kind(configuration, device), self._file(configuration)):
            with suppress(OSError, ValueError):
                if found := [timing for timing in _read(path) if timing.get("device") == device]:
                    return found[0]
        return None

    def write(self, configuration: str, timing: dict[str, Any]) -> None:
        """Write ``timing``, which replaces an earlier one on the same kind of device. No other process writes any."""
        self._path.mkdir(exist_ok=True)
        others = [other for other in self._known(configuration) if other.get("device") != timing.get("device")]
        kinds = [self._of_kind(configuration, str(each.get("device"))) for each in [timing, *others]]
        path = self._file(configuration)
        write_sealed(path, {**timing, ELSEWHERE: others} if others else timing, path.name)
        for kind in kinds:
            kind.unlink(missing_ok=True)

    def write_beside_others(self, configuration: str, timing: dict[str, Any], *, replaces: bool = False) -> None:
        """Write ``timing`` where other processes may write theirs.

        The first on a kind of device counts, as runs may have got their steps by it, unless ``replaces``.
        """
        self._path.mkdir(exist_ok=True)
        path = self._of_kind(configuration, str(timing.get("device")))
        # Processes of two machines may have the same id.
        spare = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}")
        write_sealed(spare, timing, path.name)
        try:
            if replaces:
                spare.replace(path)
            elif not link_first(spare, path):
                first = self.on_device(configuration, str(timing.get("device"))) or {}
                if timing.keys() - first.keys():
                    # Such as what several runs on one device reach, which a process with ``--pack`` does not measure.
                    write_sealed(path, {**timing, **first}, path.name)
        finally:
            spare.unlink(missing_ok=True)

    def _file(self, configuration: str) -> Path:
        return self._path / f"{configuration}.json"

    def _of_kind(self, configuration: str, device: str) -> Path:
        return self._path / f"{configuration}.{hashlib.sha256(device.encode()).hexdigest()[:12]}.json"

    def _known(self, configuration: str) -> list[dict[str, Any]]:
        """Return every timing of a configuration; of two on one kind of device the first counts."""
        known = []
        kinds = (path for path in sorted(self._path.glob("*.json")) if _OF_A_KIND.fullmatch(path.stem))
        for path in [*(path for path in kinds if path.stem[:-13] == configuration), self._file(configuration)]:
            with suppress(OSError, ValueError):
                known += _read(path)
        return list({timing.get("device"): timing for timing in reversed(known)}.values())[::-1]


_OF_A_KIND = re.compile(r"(.+)\.[0-9a-f]{12}")
"""The name of a file with the timing on one kind of device: that of the configuration, and a hash of the kind."""


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the timings in a file, the latest first."""
    latest = read_sealed(path, path.name)
    others = latest.pop(ELSEWHERE, [])
    if not (isinstance(others, list) and all(isinstance(other, dict) for other in others)):
        raise ValueError(f"{ELSEWHERE}: not a list of timings")
    timings = [latest, *others]
    for timing in timings:
        check_timing(timing)
        if "device" in timing:
            timing["device"] = str(timing["device"]).partition(";")[0]
    return timings


def drifts(timing: Mapping[str, Any]) -> dict[str, float]:
    """Return by part of an iteration how far the slowest of its rounds is above the fastest, relative to that.

    Empty for a timing of an early version, which does not hold its rounds.
    """
    rounds = timing.get("rounds", {})
    return {part: max(medians) / min(medians) - 1 for part, medians in rounds.items() if medians and min(medians) > 0}


def drift_warning(timings: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return one line about the medians of rounds that differ by more than `DRIFT`, or None where none do."""
    found = [
        (drift, f"{name} of {configuration}", timing["rounds"][name])
        for configuration, timing in timings.items()
        for name, drift in drifts(timing).items()
    ]
    drifted = [one for one in found if one[0] > DRIFT]
    if not drifted:
        return None
    most, what, medians = max(drifted)
    return (
        f"{len(drifted)} of {len(found)} timings differ by over {DRIFT:.0%} between rounds, as on a device in use; "
        f"most, by {most:.0%}, {what} ({min(medians):.3g} to {max(medians):.3g} ms)"
    )
