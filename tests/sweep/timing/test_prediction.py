"""Predicted hours of training and evaluation: from counted operations, against hand computations and a simulation."""

from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from sweeps import SMALL, write

from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.timing.prediction import (
    H200,
    Operator,
    evaluation_seconds,
    evaluations,
    iteration_seconds,
    part_seconds,
    predict,
    seconds_of,
)
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.side_stream import Branch
from lipschitz.tasks.terms import Evaluation

TABLE2 = Path(__file__).parents[3] / "benchmarks" / "sngan_table2_cifar10.yaml"
FIVE = ["none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization"]
IMAGES = SMALL.replace("eight_gaussians", "digits").replace("mlp: {width: 8, depth: 1}", "dcgan: {width: 2}")
OUTSIDE = """
from lipschitz.constraints.base import Constraint

class Outside(Constraint):
    promise = "none"
"""


def with_training(run: Run, **changed: object) -> Run:
    return replace(run, training=run.training.model_copy(update=changed))


@pytest.fixture(scope="module")
def table2(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Five methods of SN-GAN's Table 2 with setting C, on five seeds."""
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(TABLE2)
    document["parts"] = [{"seeds": [0, 1, 2, 3, 4], "losses": ["hinge"], "constraints": FIVE}]
    path = tmp_path_factory.mktemp("table2") / "table2.yaml"
    yaml.dump(document | {"settings": ["C"]}, path)
    runs = load_sweep(path).runs
    assert len(runs) == 25
    return runs


@pytest.mark.parametrize(("precision", "hours"), [("tf32", 1.2), ("float32", 3.2)])
def test_table_2_takes_about_as_long_as_on_a_simulated_device(table2: list[Run], precision: str, hours: float) -> None:
    found = predict(with_training(run, precision=precision) for run in table2)
    assert found.unpredicted == 0
    assert found.training / 3600 == pytest.approx(hours, rel=0.2)


def test_evaluations_of_table_2_take_longer_than_training(table2: list[Run]) -> None:
    on_a_core_of_the_host = H200._replace(float64=5e10, decompositions=5e10)
    assert predict(table2, on_a_core_of_the_host).evaluation / 3600 == pytest.approx(6.7, rel=0.2)
    # On the GPU the features in float32 take most of it.
    assert predict(table2).evaluation / 3600 == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize(("constraint", "ms"), [("none", 1.44), ("gradient_penalty", 2.24)])
def test_an_iteration_has_the_operators_of_a_simulated_device(table2: list[Run], constraint: str, ms: float) -> None:
    run = next(run for run in table2 if run.labels()["constraint"] == constraint)
    seconds = iteration_seconds(with_training(run, precision="tf32"))
    assert seconds is not None
    assert 1e3 * seconds == pytest.approx(ms, rel=0.05)
    # Five discriminator updates instead of one.
    slower = iteration_seconds(with_training(replace(run, setting=SETTINGS["D"]), precision="tf32"))
    assert slower is not None
    assert 3 < slower / seconds < 5


@pytest.mark.parametrize(("part", "ratio"), [("discriminator", 1.11), ("generator", 1.03)])
def test_spectral_normalization_costs_a_division_a_layer_and_its_gradient(
    table2: list[Run], part: str, ratio: float
) -> None:
    times = {run.labels()["constraint"]: part_seconds(with_training(run, precision="tf32")) for run in table2[::5]}
    ours, none = times["spectral_normalization"], times["none"]
    assert ours is not None
    assert none is not None
    assert ours[f"ms_{part}_step"] / none[f"ms_{part}_step"] == pytest.approx(ratio, abs=0.01)
    if part == "discriminator":
        # 40 kernels in a row; those beside data and generator take less time than these.
        assert ours["ms_discriminator_step"] - none["ms_discriminator_step"] == pytest.approx(40 * H200.kernel)


@pytest.mark.parametrize(("beside", "expected"), [(1, 1 + 2), (5, 1 + 5)])
def test_work_beside_takes_the_time_by_which_it_is_longer(beside: int, expected: int) -> None:
    branches: list[Branch] = ["alone", "meanwhile", "meanwhile", *["beside"] * beside]  # type: ignore[list-item]
    operators = [Operator(0, 0, False, branch) for branch in branches]
    assert seconds_of(operators, H200._replace(kernel=1.0), "tf32") == expected


def test_an_evaluation_by_hand() -> None:
    rates = H200._replace(float32=4e12, tf32=8e12, float64=1e11, decompositions=1e10, measurement=3.0)
    assert evaluation_seconds(Evaluation(), rates) == 3
    features = 50_000 * 11.4e9 / 4e12
    sngan = (2 * 5_000 * 2048**2 + 6 * 5_000**2 * 2048) / 1e11 + 50 * 2048**3 / 1e10
    modern = (2 * 50_000 * 2048**2 + 6 * 10_000**2 * 2048) / 1e11 + 50 * 2048**3 / 1e10
    both = Evaluation.model_validate({"protocols": ["sngan", "modern"]})
    assert evaluation_seconds(both, rates) == pytest.approx(3 + features + sngan + modern)
    # In TF32 the features are others, so that each image is embedded twice.
    other = Evaluation.model_validate({"protocols": ["sngan", {"modern": {"precision": "tf32"}}]})
    assert evaluation_seconds(other, rates) == pytest.approx(3 + 1.5 * features + sngan + modern)


@pytest.mark.parametrize(("steps", "every", "expected"), [(9, 3, 5), (10, 3, 6), (2, 500, 3)])
def test_a_run_is_evaluated_at_start_and_end_and_its_best_step_again(steps: int, every: int, expected: int) -> None:
    assert evaluations(steps, every) == expected


def test_without_arithmetic_only_launches_take_time(tmp_path: Path) -> None:
    run = load_sweep(write(tmp_path, IMAGES)).runs[0]
    free = H200._replace(float32=1e99, float64=1e99, memory=1e99, cache=1e99, kernel=1.0)
    launches = iteration_seconds(run, free)
    assert launches is not None
    assert launches == int(launches)
    assert 100 < launches < 300


def test_a_budget_in_seconds_counts_as_it_is(tmp_path: Path) -> None:
    runs = load_sweep(write(tmp_path, IMAGES.replace("steps: 120", "seconds: 60"))).runs
    assert predict(runs).training == pytest.approx(60 * len(runs), rel=0.01)


def test_points_and_code_from_outside_are_not_predicted(tmp_path: Path) -> None:
    assert predict(load_sweep(write(tmp_path, SMALL)).runs) == (0, 0, 4)
    (tmp_path / "outside.py").write_text(OUTSIDE)
    path = write(tmp_path, IMAGES.replace("spectral_normalization", "outside.py:Outside"))
    assert predict(load_sweep(path).runs).unpredicted == 2
