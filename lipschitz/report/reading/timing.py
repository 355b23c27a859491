"""Numbers of a configuration's timing by metric, with and without capture of its steps as CUDA graphs."""

from collections.abc import Mapping
from typing import Any

from lipschitz.sweep.timing.timing_files import iteration_ms

STEP, GENERATOR, ITERATION = "ms_discriminator_step", "ms_generator_step", "ms_iteration"
STEP_UNCAPTURED, ITERATION_UNCAPTURED = f"{STEP}_uncaptured", f"{ITERATION}_uncaptured"
TIMES = frozenset((STEP, GENERATOR, ITERATION, STEP_UNCAPTURED, ITERATION_UNCAPTURED))
"""Metrics that are the median of a time."""
PEAK_MEMORY, RUNS, THROUGHPUT = "peak_memory", "runs_at_once", "throughput"


def is_captured(timing: Mapping[str, Any]) -> bool:
    """Return whether training captures its steps; then the keys of ``timing`` hold the times of captured steps."""
    return "launched" in timing


def uncaptured_parts(timing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parts of an iteration as launched kernel by kernel; none on the CPU, where nothing is captured."""
    if is_captured(timing):
        return dict(timing["launched"])
    return timing if str(timing.get("device", "")).startswith("cuda") else {}


def values_of(timing: Mapping[str, Any]) -> dict[str, float]:
    """Return by metric every number of ``timing`` that is in the summary: `timed_parts` without their intervals."""
    found = timed_parts(timing)
    return {name: float(value["median"] if isinstance(value, Mapping) else value) for name, value in found.items()}


def timed_parts(timing: Mapping[str, Any]) -> dict[str, Any]:
    """Return by metric what is in the summary: a part with median, low, high and n, or a number.

    An iteration without a generator is a step of the critic, and is not listed a second time.
    """
    parts = uncaptured_parts(timing)
    found = {name: timing[name] for name in (STEP, GENERATOR, PEAK_MEMORY) if name in timing}
    if str(timing.get("device", "")).startswith("cpu"):
        # Earlier versions stored the growth of the process, which hardly shows a small network.
        found.pop(PEAK_MEMORY, None)
    if STEP in parts:
        found[STEP_UNCAPTURED] = parts[STEP]
    if GENERATOR in parts and ITERATION in timing:
        found[ITERATION] = timing[ITERATION]
    if {STEP, GENERATOR} <= parts.keys() and "n_dis" in timing:
        steps = {STEP: parts[STEP], GENERATOR: parts[GENERATOR], "n_dis": timing["n_dis"]}
        found[ITERATION_UNCAPTURED] = iteration_ms(steps)
    if "pack" in timing:
        found[RUNS] = timing["pack"]
        rates = {pack["runs"]: pack["iterations_per_second"] for pack in timing.get("packs", [])}
        found |= {THROUGHPUT: rates[timing["pack"]]} if timing["pack"] in rates else {}
    return found
