"""Runs that are chosen by their labels and seeds."""

import re
from pathlib import Path

import pytest
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition.run_filter import filtered
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep

CONSTRAINTS = "[none, spectral_normalization, [spectral_normalization, {gradient_penalty: {weight: 1.0}}]]"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Three constraints with seeds 0 to 11."""
    text = SMALL.replace("[none, spectral_normalization]", CONSTRAINTS).replace(
        "[0, 1]", f"[{', '.join(map(str, range(12)))}]"
    )
    return load_sweep(write(tmp_path, text))


@pytest.mark.parametrize(
    ("conditions", "number", "seeds"),
    [
        ([], 36, range(12)),
        (["constraint=none"], 12, range(12)),
        (["constraint=spectral_*"], 24, range(12)),
        (["constraint=none", "constraint=spectral_normalization"], 24, range(12)),
        (["constraint=none,seed=1"], 1, [1]),
        (["seed=9..11"], 9, [9, 10, 11]),
        (["seed=0", "seed=10..11", "constraint=none"], 3, [0, 10, 11]),
        (["model=mlp(width=8, depth=1),seed=2"], 3, [2]),
    ],
)
def test_the_runs_that_meet_the_conditions(
    sweep: Sweep, conditions: list[str], number: int, seeds: range | list[int]
) -> None:
    found = filtered(sweep.runs, conditions)
    assert len(found) == number
    assert {run.seed for run in found} == set(seeds)


@pytest.mark.parametrize(
    ("conditions", "error"),
    [
        (["sead=1"], "--only: 'sead=1'; allowed: AXIS=VALUE, where AXIS is dataset, model, constraint"),
        (["none"], "--only: 'none'; allowed: AXIS=VALUE"),
        (["constraint=non"], "--only: no run has constraint=non; there are: none, spectral_normalization, "),
        (["seed=12..20"], "--only: no run has seed=12..20; there are: 0, 1, 2"),
    ],
)
def test_a_condition_that_no_run_meets_is_refused(sweep: Sweep, conditions: list[str], error: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(error)}"):
        filtered(sweep.runs, conditions)
