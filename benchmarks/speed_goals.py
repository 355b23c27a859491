"""The speed goals of the project, and whether the measured cells of all devices reach them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from result_files import markdown_table
from speed_tables import MISSING, median_ms

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.files import write_text

SpeedResults = Mapping[str, Any]
"""The contents of the JSON files ``cpu``, ``cuda``, ``peers`` and ``classifier``, by name."""


class Goal(NamedTuple):
    """A quantity and its target. Those of a GPU also have a prediction, made before any measurement."""

    what: str
    allowed: str
    measured: Callable[[SpeedResults], float | None]
    """Return the quantity, or None if a part of it was not measured."""
    is_reached: Callable[[float], bool]
    shown: str = "{:.2f}"
    predicted: str = ""
    assumes: str = ""
    refuted: str = ""
    """What a measurement would have to show for the prediction to be wrong."""


def goals() -> list[Goal]:
    """Return all goals, those of a GPU first."""
    peers = "our step over a peer's, largest ratio of all peers,"
    theirs = "our spectral normalization's discriminator step over torch's parametrization, width 16 (upper end), in"
    textbook, ours = _over_torch("torch_parametrization"), _over_torch("torch_in_our_step")
    return [
        *_gpu_goals(),
        Goal(
            "two workers on two cores over one, smallest ratio of the small networks",
            ">= 1.7",
            _workers,
            _at_least(1.7),
        ),
        Goal(f"{peers} width 16 (lower end)", "<= 1", _largest_over_peers(16), _at_most(1), "{:.3f}"),
        Goal(f"{peers} width 64 (lower end)", "<= 1", _largest_over_peers(64), _at_most(1), "{:.3f}"),
        Goal(f"{theirs} the textbook loop", "< 1.0", textbook, _below(1.0), "{:.3f}"),
        Goal(f"{theirs} our own loop", "< 1.0", ours, _below(1.0), "{:.3f}"),
        Goal(
            "a classifier's step without a constraint over a plain loop, largest ratio (upper end)",
            "<= 1.05",
            _largest_over_plain_classifier,
            _at_most(1.05),
            "{:.3f}",
        ),
    ]


def _gpu_goals() -> list[Goal]:
    gain = "uncaptured / captured iteration, TF32, width {}, smallest ratio of all methods that can be captured"
    packing = "best packing over one uncaptured run, TF32, width {}, smallest ratio of five methods"
    step = "captured discriminator step over that of none, TF32, width 64"
    host = "10 µs of the host for each of the 180 operators of an iteration without a constraint"
    return [
        Goal(
            gain.format(64),
            ">= 1.2",
            _smallest_capture_gain(64),
            _at_least(1.2),
            predicted="1.2",
            assumes=f"{host}: 1.8 ms, and 1.46 ms captured, which its arithmetic takes for the most part",
            refuted="less than 1.05 or more than 2.5 without a constraint",
        ),
        Goal(
            gain.format(16),
            ">= 4",
            _smallest_capture_gain(16),
            _at_least(4),
            predicted="4.4",
            assumes=f"{host}, and 2.2 µs a kernel in a graph: launches alone take time",
            refuted="less than 3: the host launches faster, or kernels in a graph take more than 3 µs",
        ),
        Goal(
            packing.format(64),
            ">= 1.4",
            _smallest_packing_gain(64),
            _at_least(1.4),
            predicted="1.3 to 1.5",
            assumes="kernels of several runs overlap until launches are half (1.3) or wholly (1.5) hidden",
            refuted="less than 1.2: the captured iteration is slower than 1.5 ms, or streams do not overlap",
        ),
        Goal(
            packing.format(16),
            ">= 8",
            _smallest_packing_gain(16),
            _at_least(8),
            predicted="8 to 17",
            assumes="the same; wholly hidden, an iteration without a constraint takes 0.1 ms",
            refuted="less than 5: graphs of several streams run one after the other",
        ),
        Goal(
            "best packing, share of the TF32 matrix rate, width 64",
            ">= 35 %",
            _largest_share,
            _at_least(0.35),
            "{:.0%}",
            predicted="38 %",
            assumes="convolutions reach 157 of 350 TFLOP/s, and 3.7 TB/s of memory traffic",
            refuted="less than 25 % or more than 55 %: then every predicted time at width 64 is wrong as well",
        ),
        Goal(
            f"gradient penalty, {step}",
            "<= 2.1",
            _step_over_none("gradient_penalty"),
            _at_most(2.1),
            predicted="1.95",
            assumes="180 GFLOP against 96, at the same rate in the double backward pass",
            refuted="more than 2.4: the kernels of the double backward pass are slower than the others",
        ),
        Goal(
            f"spectral normalization, {step}",
            "<= 1.15",
            _step_over_none("spectral_normalization"),
            _at_most(1.15),
            predicted="1.11",
            assumes="2.2 µs for each of 40 kernels more in a row than the 101 of none, whose step takes 0.83 ms; 52 "
            "more beside data and generator, which take longer",
            refuted="more than 1.18: the side stream does not overlap (then 1.25), or other kernels are counted",
        ),
    ]


def goals_table(found: SpeedResults) -> str:
    """Return the README of the results: the table of goals, and where each device was measured."""
    rows = []
    for goal in goals():
        value = goal.measured(found)
        shown = MISSING if value is None else goal.shown.format(value)
        reached = MISSING if value is None else "yes" if goal.is_reached(value) else "no"
        rows.append((goal.what, goal.allowed, shown, reached))
    devices = [
        f"- [{name}]({name}.md): {one['provenance']['device']}, commit {one['provenance']['commit']}, "
        f"`{one['provenance']['command']}`"
        for name, one in found.items()
    ]
    missing = [] if "cuda" in found else ["", "Nothing was measured on a GPU."]
    table = markdown_table(("what", "goal", "measured", "reached"), *rows)
    return "\n".join(["# Speed", "", *table, *missing, "", *_predictions(), "", "Measured on:", "", *devices, ""])


def write_goals(folder: Path) -> SpeedResults:
    """Write the README of the results in ``folder``, and return the contents of its JSON files by name."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    write_text(folder / "README.md", goals_table(found))
    return found


def _predictions() -> list[str]:
    rows = [(goal.what, goal.predicted, goal.assumes, goal.refuted) for goal in goals() if goal.predicted]
    return [
        "**Predicted, not measured**, for one H200: operators are counted, and each takes the longest of its "
        "arithmetic, its memory traffic and its launch, at assumed rates.",
        "",
        *markdown_table(("what", "predicted", "assumes", "wrong if a measurement shows"), *rows),
    ]


def _at_least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound


def _at_most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


def _below(bound: float) -> Callable[[float], bool]:
    return lambda value: value < bound


def _choose(values: Sequence[float | None], choose: Callable[[Sequence[float]], float]) -> float | None:
    """Return ``min`` or ``max`` of the values, or None if there are none or any of them is None."""
    known = [value for value in values if value is not None]
    return choose(known) if known and len(known) == len(values) else None


def _cells(found: SpeedResults, device: str, kind: str) -> dict[str, Any]:
    cells = found.get(device, {}).get("cells", {})
    return {key: value for key, value in cells.items() if key.startswith(kind)}


def _smallest_capture_gain(width: int) -> Callable[[SpeedResults], float | None]:
    def smallest(found: SpeedResults) -> float | None:
        ratios = []
        for key, value in _cells(found, "cuda", f"times/tf32/{width}/").items():
            if CONSTRAINTS[key.rpartition("/")[2]].uncapturable:
                continue
            launched, captured = (median_ms(value, how, "ms_iteration") for how in ("launched", "captured"))
            ratios.append(launched / captured if launched and captured else None)
        return _choose(ratios, min)

    return smallest


def _smallest_packing_gain(width: int) -> Callable[[SpeedResults], float | None]:
    def smallest(found: SpeedResults) -> float | None:
        times = _cells(found, "cuda", f"times/tf32/{width}/")
        ratios = []
        for key, packs in _cells(found, "cuda", f"packs/tf32/{width}/").items():
            ms = median_ms(times.get(key.replace("packs", "times", 1)), "launched", "ms_iteration")
            ratios.append(_fastest(packs) * ms / 1000 if ms and isinstance(packs, list) and packs else None)
        return _choose(ratios, min)

    return smallest


def _largest_share(found: SpeedResults) -> float | None:
    rate = found.get("cuda", {}).get("cells", {}).get("rate/tf32")
    times = _cells(found, "cuda", "times/tf32/64/")
    shares = []
    for key, packs in _cells(found, "cuda", "packs/tf32/64/").items():
        value = times.get(key.replace("packs", "times", 1), {})
        known = rate and isinstance(packs, list) and packs and "gflop" in value
        shares.append(_fastest(packs) * value["gflop"]["ms_iteration"] / 1e3 / rate if known else None)
    return _choose(shares, max)


def _fastest(packs: Sequence[Mapping[str, float]]) -> float:
    return max(pack["iterations_per_second"] for pack in packs)


def _step_over_none(method: str) -> Callable[[SpeedResults], float | None]:
    def ratio(found: SpeedResults) -> float | None:
        times = _cells(found, "cuda", "times/tf32/64/")
        ms, none = (
            median_ms(times.get(f"times/tf32/64/{name}"), "captured", "ms_discriminator_step")
            for name in (method, "none")
        )
        return ms / none if ms and none else None

    return ratio


def _workers(found: SpeedResults) -> float | None:
    values = _cells(found, "cpu", "workers/").values()
    return _choose([value["ratio"]["median"] if value.get("workers") == 2 else None for value in values], min)


def _largest_over_peers(width: int) -> Callable[[SpeedResults], float | None]:
    def largest(found: SpeedResults) -> float | None:
        """Return the largest lower end of an interval, or None unless both steps of every peer were measured."""
        rows = [row for row in found.get("peers", {}).get("rows", []) if row["width"] == width and "ratio" in row]
        lows = {(row["peer"], row["step"]): row["ratio"]["low"] for row in rows}
        expected = [(name, step) for name, _ in lows for step in ("discriminator", "iteration")]
        return _choose([lows.get(key) for key in expected], max)

    return largest


def _over_torch(peer: str) -> Callable[[SpeedResults], float | None]:
    def upper_end(found: SpeedResults) -> float | None:
        rows = [
            row["ratio"]["high"]
            for row in found.get("peers", {}).get("rows", [])
            if (row["peer"], row["width"], row.get("step")) == (peer, 16, "discriminator")
        ]
        return rows[0] if rows else None

    return upper_end


def _largest_over_plain_classifier(found: SpeedResults) -> float | None:
    rows = found.get("classifier", {}).get("rows", [])
    return _choose([row["ratio"]["high"] if "ratio" in row else None for row in rows], max)
