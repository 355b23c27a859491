"""What was to be reached, and what was: read off the cells of every device that was measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from speed_tables import MISSING, ms_of

from lipschitz.constraints.catalogue import CONSTRAINTS

Found = Mapping[str, Any]
"""By device, ``cpu`` or ``cuda``, and for ``peers``: what its JSON file holds."""


class Goal(NamedTuple):
    """One thing that was to be reached."""

    what: str
    allowed: str
    measured: Callable[[Found], float | None]
    """What decides it; None where any of what it is about was not measured."""
    is_reached: Callable[[float], bool]
    shown: str = "{:.2f}"


def goals() -> list[Goal]:
    """Return every goal, those of a GPU first."""
    penalty, normalization = _over_none("gradient_penalty"), _over_none("spectral_normalization")
    textbook, ours = _torch("torch_parametrization"), _torch("torch_in_our_step")
    step = "captured discriminator step over that of none, TF32, width 64"
    theirs = "our spectral normalization's discriminator step over torch's parametrization, width 16 (upper end), in"
    return [
        Goal(
            "uncaptured / captured iteration, TF32, width 64, the least of all that can be",
            ">= 4",
            _captured,
            _at_least(4),
        ),
        Goal("best packing over one uncaptured run, TF32, width 64", ">= 10", _packed(64), _at_least(10)),
        Goal("best packing over one uncaptured run, TF32, width 16", ">= 25", _packed(16), _at_least(25)),
        Goal("best packing, share of the TF32 matrix rate, width 64", ">= 40 %", _share, _at_least(0.4), "{:.0%}"),
        Goal(f"gradient penalty, {step}", "<= 2.2", penalty, _at_most(2.2)),
        Goal(f"spectral normalization, {step}", "<= 1.05", normalization, _at_most(1.05)),
        Goal("workers on two cores over one, the least of the small networks", ">= 1.7", _workers, _at_least(1.7)),
        Goal(
            "our step over a peer's, width 16, the most of all (lower end)", "<= 1", _peers(16), _at_most(1), "{:.3f}"
        ),
        Goal(
            "our step over a peer's, width 64, the most of all (lower end)", "<= 1", _peers(64), _at_most(1), "{:.3f}"
        ),
        Goal(f"{theirs} the textbook loop", "< 1.0", textbook, _below(1.0), "{:.3f}"),
        Goal(f"{theirs} our own loop", "< 1.0", ours, _below(1.0), "{:.3f}"),
    ]


def goals_table(found: Found) -> str:
    """Return the table of goals as Markdown."""
    rows = []
    for goal in goals():
        value = goal.measured(found)
        said = MISSING if value is None else goal.shown.format(value)
        reached = MISSING if value is None else "yes" if goal.is_reached(value) else "no"
        rows.append(f"| {goal.what} | {goal.allowed} | {said} | {reached} |")
    devices = [
        f"- [{name}]({name}.md): {one['provenance']['device']}, commit {one['provenance']['commit']}, "
        f"`{one['provenance']['command']}`"
        for name, one in found.items()
    ]
    missing = [] if "cuda" in found else ["", "Nothing was measured on a GPU."]
    lines = ["# Speed", "", "| what | to be reached | measured | reached |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([*lines, *missing, "", "Measured on:", "", *devices, ""])


def _at_least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound


def _at_most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


def _below(bound: float) -> Callable[[float], bool]:
    return lambda value: value < bound


def _worst(values: Sequence[float | None], choose: Callable[[Sequence[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known and len(known) == len(values) else None


def _cells(found: Found, device: str, kind: str) -> dict[str, Any]:
    cells = found.get(device, {}).get("cells", {})
    return {key: value for key, value in cells.items() if key.startswith(kind)}


def _captured(found: Found) -> float | None:
    ratios = []
    for key, value in _cells(found, "cuda", "times/tf32/64/").items():
        if CONSTRAINTS[key.rpartition("/")[2]].uncapturable:
            continue
        launched, captured = (ms_of(value, how, "ms_iteration") for how in ("launched", "captured"))
        ratios.append(launched / captured if launched and captured else None)
    return _worst(ratios, min)


def _packed(width: int) -> Callable[[Found], float | None]:
    def least(found: Found) -> float | None:
        times = _cells(found, "cuda", f"times/tf32/{width}/")
        ratios = []
        for key, packs in _cells(found, "cuda", f"packs/tf32/{width}/").items():
            ms = ms_of(times.get(key.replace("packs", "times", 1)), "launched", "ms_iteration")
            ratios.append(_fastest(packs) * ms / 1000 if ms and isinstance(packs, list) and packs else None)
        return _worst(ratios, min)

    return least


def _share(found: Found) -> float | None:
    rate = found.get("cuda", {}).get("cells", {}).get("rate/tf32")
    times = _cells(found, "cuda", "times/tf32/64/")
    shares = []
    for key, packs in _cells(found, "cuda", "packs/tf32/64/").items():
        value = times.get(key.replace("packs", "times", 1), {})
        known = rate and isinstance(packs, list) and packs and "gflop" in value
        shares.append(_fastest(packs) * value["gflop"]["ms_iteration"] / 1e3 / rate if known else None)
    return _worst(shares, max)


def _fastest(packs: Sequence[Mapping[str, float]]) -> float:
    return max(pack["iterations_per_second"] for pack in packs)


def _over_none(method: str) -> Callable[[Found], float | None]:
    def ratio(found: Found) -> float | None:
        times = _cells(found, "cuda", "times/tf32/64/")
        ms, none = (
            ms_of(times.get(f"times/tf32/64/{name}"), "captured", "ms_discriminator_step") for name in (method, "none")
        )
        return ms / none if ms and none else None

    return ratio


def _workers(found: Found) -> float | None:
    values = _cells(found, "cpu", "workers/").values()
    return _worst([value["ratio"]["median"] if value.get("workers") == 2 else None for value in values], min)


def _peers(width: int) -> Callable[[Found], float | None]:
    def largest_lower_end(found: Found) -> float | None:
        """Return None unless both steps of every peer at that width were measured."""
        rows = [row for row in found.get("peers", {}).get("rows", []) if row["width"] == width and "ratio" in row]
        lows = {(row["peer"], row["step"]): row["ratio"]["low"] for row in rows}
        wanted = [(name, step) for name, _ in lows for step in ("discriminator", "iteration")]
        return _worst([lows.get(key) for key in wanted], max)

    return largest_lower_end


def _torch(peer: str) -> Callable[[Found], float | None]:
    def upper_end(found: Found) -> float | None:
        rows = [
            row["ratio"]["high"]
            for row in found.get("peers", {}).get("rows", [])
            if (row["peer"], row["width"], row.get("step")) == (peer, 16, "discriminator")
        ]
        return rows[0] if rows else None

    return upper_end
