from pathlib import Path

import pytest
from sweeps import SMALL

from lipschitz.sweep.spec import load_sweep
from lipschitz.sweep.timing import timings_of
from lipschitz.sweep.worker import Job

BROKEN = '''
from lipschitz.constraints.base import Constraint

class Broken(Constraint):
    """Raises."""
    source, promise = "this test", "none"
    def penalty(self, net, batch, rng):
        raise RuntimeError("no")
'''


@pytest.mark.parametrize("constraints", ["[none, broken.py:Broken]", "[broken.py:Broken, none]"])
def test_a_method_that_raises_costs_no_other_its_timing(tmp_path: Path, constraints: str) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "small.yaml").write_text(SMALL.replace("[none, spectral_normalization]", constraints))
    runs = [run for run in load_sweep(tmp_path / "small.yaml").runs if run.seed == 0]
    timings = timings_of([Job(run, tmp_path, None, "cpu", {}) for run in runs[:2]], warm_up=1, repeats=3)
    by_constraint = {run.labels()["constraint"]: timing for run, timing in zip(runs, timings, strict=False)}
    assert by_constraint["Broken"] is None
    assert by_constraint["none"] is not None
    assert by_constraint["none"]["ms_discriminator_step"]["n"] == 3
