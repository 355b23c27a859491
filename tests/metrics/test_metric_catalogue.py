import json
import subprocess
import sys

import pytest

from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import CATALOGUE, METRICS, metric_of
from lipschitz.tasks.terms import Evaluation


def test_every_recorded_value_is_described():
    assert set(CATALOGUE) == {
        "w1",
        "modes",
        "high_quality",
        "frechet_classifier",
        "w1_classifier",
        "kid_classifier",
        "intra_frechet_classifier",
        "class_share",
        "classes_covered",
        "class_divergence",
        "frechet_random",
        "w1_random",
        "kid_random",
        "fid",
        "inception_score",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "cosine",
        "l2",
        "w1_dual",
        "w1_error",
        "w1_over_lower",
        "w1_over_upper",
        "cosine_float32",
        "l2_float32",
        "w1_independent",
        "d_star_error",
        "log_ratio_error",
        "log_ratio_gradient_error",
        "accuracy",
        "cross_entropy",
        "accuracy_gap",
        "loss_gap",
        "certified_accuracy",
        "certified_accuracy_joint",
        "pgd_accuracy",
        "fgsm_accuracy",
        "margin_over_lipschitz",
        "margin_over_lipschitz_train",
        "loss_change",
        "logit_change",
        "logit_change_max",
        "accuracy_under",
        "sigma_product",
        "spectral_complexity",
        "sigma_reshaped",
        "sigma_operator",
        "sigma_upper",
        "effective_rank",
        "lipschitz_lower",
        "lipschitz_exact",
        "lipschitz_upper",
        "lipschitz_upper_product",
        "lipschitz_ratio",
        "gradient_norm",
        "gradient_norm_max",
        "generator_gradient",
        "loss",
        "loss_mean",
        "ms_discriminator_step",
        "ms_discriminator_step_uncaptured",
        "ms_generator_step",
        "ms_iteration",
        "ms_iteration_uncaptured",
        "peak_memory",
        "runs_at_once",
        "throughput",
    }
    assert all(name == metric.name and metric.title and metric.summary for name, metric in CATALOGUE.items())


def test_titles_tell_metrics_apart():
    assert len({metric.label for metric in CATALOGUE.values()}) == len(CATALOGUE)


def test_the_unit_is_part_of_the_label():
    assert CATALOGUE["ms_discriminator_step"].label == "Time of a discriminator step (ms)"
    assert CATALOGUE["w1"].label == "W1 to held-out data"


def test_what_follows_the_slash_is_not_part_of_the_name():
    assert metric_of("sigma_operator/blocks.0.conv") is CATALOGUE["sigma_operator"]
    assert metric_of("w1") is CATALOGUE["w1"]


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown metric 'frechet_class'; did you mean 'frechet_classifier'\?"):
        metric_of("frechet_class")


def test_it_imports_neither_torch_nor_scipy():
    code = "import sys, lipschitz.metrics.catalogue; print({'torch', 'scipy', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_schema_of_further_metrics_names_none_of_the_packages_own() -> None:
    schema = json.dumps(Evaluation.model_json_schema()["properties"]["metrics"])
    assert ":" in schema
    assert not [name for name in METRICS.own if f'"{name}"' in schema]
