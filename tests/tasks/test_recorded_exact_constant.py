"""When a run records the exact Lipschitz constant, and the facts about a measurement in its result."""

from pathlib import Path

import pytest
from sweeps import ONE_CPU, SMALL, ProgressLog, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.run_folder import RunFolder

TRANSPORT = """\
    name: small
    task: transport
    datasets: [{translation: {dim: 2}}]
    models: [{critic: {width: 8}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 40, batch_size: 8}
    evaluation: {every: 20, samples: 32, gradient_samples: 8}
"""


def trained(folder: Path, text: str) -> list[RunFolder]:
    jobs = [Job(run, folder / "out", ONE_CPU, "cpu", {}) for run in load_sweep(write(folder, text)).runs]
    Local().run(jobs, ONE_CPU, ProgressLog())
    return [job.folder for job in jobs]


def steps(run: RunFolder) -> list[int]:
    return [one["step"] for one in run.records() if one["metric"] == "lipschitz_exact"]


GENERATION = SMALL.replace("[0, 1]", "[0]").replace("120", "40").replace("every: 40", "every: 20")


@pytest.mark.parametrize("text", [GENERATION.replace(", spectral_normalization", ""), TRANSPORT])
def test_the_exact_constant_is_recorded_after_the_last_step_or_whenever_it_is_wanted(tmp_path: Path, text: str) -> None:
    (last,) = trained(tmp_path, text)
    (every,) = trained(tmp_path, text.replace("every: 20", "every: 20, exact: every"))
    (never,) = trained(tmp_path, text.replace("every: 20", "every: 20, exact: never"))
    assert [steps(run) for run in (last, every, never)] == [[40], [0, 20, 40], []]
    ours, theirs = (run.result() for run in (last, every))
    assert ours is not None
    assert theirs is not None
    values = ours["last"]
    assert values["lipschitz_exact"] == theirs["last"]["lipschitz_exact"]
    assert "lipschitz_exact" in theirs["best"]["values"]
    assert values["lipschitz_lower"] <= values["lipschitz_exact"] * (1 + 1e-9)
    assert values["lipschitz_exact"] <= values["lipschitz_upper"] * (1 + 1e-9)
    assert values["lipschitz_upper"] <= values["lipschitz_upper_product"]
    assert ours["measurement"].keys() == {"upper_method"}


def test_the_result_says_what_the_measurement_takes_for_granted(tmp_path: Path) -> None:
    (run,) = trained(tmp_path, GENERATION.replace("none, spectral", "gradient"))
    result = run.result()
    assert result is not None
    assert result["measurement"]["no_exact"] == "not piecewise linear: it uses torch's grad"
    assert "discontinuous" in result["measurement"]["upper_reasons"][0]
    assert steps(run) == []
