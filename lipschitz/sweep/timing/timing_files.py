"""The folder ``timing/``: one file per configuration, with its timing on each kind of device. No torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipschitz.checksums import read_sealed, write_sealed
from lipschitz.errors import first_line
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

    A timing counts only on the kind of device that it names. In older folders the number of workers follows the name
    after a ``;``; it is ignored, because only one worker is timed at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def latest(self, warnings: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the latest timing of each configuration; ``warnings`` gets a line for each that cannot be read."""
        found = {}
        for path in sorted(self._path.glob("*.json")):
            try:
                found[path.stem] = _read(path)[0]
            except (OSError, ValueError) as error:
                if warnings is not None:
                    reason = first_line(error, with_type=True)
                    warnings.append(f"{path}: cannot be read; cost is not reported ({reason})")
        return found

    def on_device(self, configuration: str, device: str) -> dict[str, Any] | None:
        """Return the timing of ``configuration`` on the kind of device ``device``, or None."""
        return next((timing for timing in self._known(configuration) if timing.get("device") == device), None)

    def write(self, configuration: str, timing: dict[str, Any]) -> None:
        """Write ``timing``, which replaces an earlier one on the same kind of device."""
        self._path.mkdir(exist_ok=True)
        others = [other for other in self._known(configuration) if other.get("device") != timing.get("device")]
        path = self._file(configuration)
        write_sealed(path, {**timing, ELSEWHERE: others} if others else timing, path.name)

    def _file(self, configuration: str) -> Path:
        return self._path / f"{configuration}.json"

    def _known(self, configuration: str) -> list[dict[str, Any]]:
        try:
            return _read(self._file(configuration))
        except (OSError, ValueError):
            return []


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
