"""What holds of every metric: where it lies, what it says of itself, and what it returns for samples of its kind."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lipschitz.errors import InputError
from lipschitz.metrics import inner_products
from lipschitz.metrics.base import Judged, Metric, measure_all, protocol_facts
from lipschitz.metrics.catalogue import CATALOGUE, METRICS, Catalogue, metric_of
from lipschitz.metrics.classifier import ClassesCovered
from lipschitz.metrics.context import ImageContext, InceptionContext, PointContext
from lipschitz.metrics.description import Description
from lipschitz.metrics.frechet import moments
from lipschitz.metrics.samples import (
    ClassifierSamples,
    FeatureSamples,
    ImageSamples,
    InceptionSamples,
    InceptionTensors,
    PointSamples,
)

ORDER = [
    *("w1", "modes", "high_quality"),
    *("frechet_classifier", "w1_classifier", "kid_classifier", "intra_frechet_classifier", "class_share"),
    *("classes_covered", "class_divergence"),
    *("frechet_random", "w1_random", "kid_random"),
    *("fid", "inception_score", "kid", "precision", "recall", "density", "coverage"),
    *("cosine", "l2", "w1_dual", "w1_error", "w1_over_lower", "w1_over_upper"),
    *("cosine_float32", "l2_float32", "w1_independent"),
    *("d_star_error", "log_ratio_error", "log_ratio_gradient_error"),
    *("accuracy", "cross_entropy", "accuracy_gap", "loss_gap"),
    *("certified_accuracy", "certified_accuracy_joint", "pgd_accuracy", "fgsm_accuracy"),
    *("margin_over_lipschitz", "margin_over_lipschitz_train"),
    *("loss_change", "logit_change", "logit_change_max", "accuracy_under", "sigma_product", "spectral_complexity"),
    *("sigma_reshaped", "sigma_operator", "sigma_upper", "effective_rank"),
    *("lipschitz_lower", "lipschitz_exact", "lipschitz_upper", "lipschitz_upper_product", "lipschitz_ratio"),
    *("gradient_norm", "gradient_norm_max"),
    *("generator_gradient", "loss", "loss_mean"),
    *("ms_discriminator_step", "ms_generator_step", "ms_discriminator_step_uncaptured"),
    *("ms_iteration", "ms_iteration_uncaptured", "peak_memory", "runs_at_once", "throughput"),
]
N = 24


class Spread(Metric):
    """Standard deviation of generated points."""

    judges = "points"
    title = "Spread"
    better = "higher"
    source = "Doe 2031"

    scale: float = 1.0

    def measure(self, samples: PointSamples) -> float:
        return self.scale * float(samples.generated.std())


def _samples() -> dict[Judged, Any]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    labels = np.arange(N) % 3
    pixels = rng.integers(256, size=(2, N, 1, 4, 4), dtype=np.uint8)
    fake, real, logits = (torch.from_numpy(draw(N, d).astype(np.float32)) for d in (6, 6, 7))
    return {
        "points": PointSamples(draw(N, 2), draw(N, 2), draw(3, 2), 1.0),
        "classifier": ClassifierSamples(draw(N, 5), draw(N, 5), labels[::-1].copy(), 3, labels),
        "random_network": FeatureSamples(draw(N, 5), draw(N, 5)),
        "inception": InceptionSamples(InceptionTensors(fake, logits, fake[:12], real[:12]), moments(real), 2),
        "images": ImageSamples(pixels[0], pixels[1], labels),
    }


SAMPLES = _samples()
CONTEXTS: dict[Judged, Any] = {
    "points": PointContext(N, has_modes=True),
    "classifier": ImageContext(N, 3, conditional=True, features={"features": "a classifier"}, has_modes=True),
    "random_network": ImageContext(N, None, conditional=False, features={"features": "a random network"}),
    "inception": InceptionContext({"protocol": "x"}, "held-out images", N, N, N, 2, 12, 20),
    "images": ImageContext(N, 3, conditional=True),
}


def test_the_order_of_tables_is_fixed() -> None:
    assert list(CATALOGUE.own) == ORDER
    assert list(METRICS.own) == ORDER[:20]


def test_each_module_holds_the_metrics_of_one_kind_of_samples() -> None:
    for kind in METRICS.own.values():
        assert kind.__module__ == f"lipschitz.metrics.{kind.judges}"


@pytest.mark.parametrize("name", METRICS.own)
def test_it_describes_itself(name: str) -> None:
    kind = METRICS.own[name]
    kind.check_class()
    assert kind().describe() == CATALOGUE[name]
    assert kind.summary().endswith(".")
    assert not kind().changed()


@pytest.mark.parametrize("name", METRICS.own)
def test_it_returns_finite_values_and_a_protocol_for_each(name: str) -> None:
    metric = METRICS.own[name]()
    samples, context = SAMPLES[metric.judges], CONTEXTS[metric.judges]
    assert metric.applies(context)
    values = measure_all([metric], samples)
    assert values
    assert all(math.isfinite(value) for value in values.values())
    facts = protocol_facts([metric], context)
    assert list(facts) == list(values) == list(metric.names(context))
    assert json.loads(json.dumps(facts)) == facts
    assert all(fact["n_fake"] <= N for fact in facts.values())


CLASSIFIER = {
    "features": "a classifier",
    "reference": "held-out images",
    "quantisation": "8 bit",
    "n_real": N,
    "n_fake": N,
}
MODES = {"reference": "modes of the distribution", "n_fake": N, "radius": "3 standard deviations"}
COMPARED = {"protocol": "x", "reference": "held-out images", "n_real": 12, "n_fake": 12, "n_floor": 12}
FACTS = {
    "w1": {"reference": "fresh draw of the distribution", "n_real": N, "n_fake": N},
    "modes": MODES,
    "high_quality": MODES,
    "frechet_classifier": CLASSIFIER,
    "w1_classifier": CLASSIFIER,
    "kid_classifier": CLASSIFIER | {"subsets": 1},
    "intra_frechet_classifier": CLASSIFIER | {"per_class": 8.0},
    **{
        name: {"features": "a classifier", "quantisation": "8 bit", "n_fake": N}
        for name in ("class_share", "classes_covered", "class_divergence")
    },
    **dict.fromkeys(("frechet_random", "w1_random"), CLASSIFIER | {"features": "a random network"}),
    "kid_random": CLASSIFIER | {"features": "a random network", "subsets": 1},
    # 20 other real images take the place of 24 generated ones in the floor.
    "fid": COMPARED | {"n_real": N, "n_fake": N, "n_floor": 20},
    "inception_score": {
        "protocol": "x",
        "layer": "1,008 classes without bias",
        "n_fake": N,
        "splits": 2,
        "n_floor": 20,
    },
    "kid": COMPARED | {"subsets": 1},
    **dict.fromkeys(("precision", "recall", "density", "coverage"), COMPARED | {"neighbour": 5}),
}


@pytest.mark.parametrize("name", METRICS.own)
def test_the_facts_of_every_metric(name: str) -> None:
    metric = METRICS.own[name]()
    assert metric.protocol(CONTEXTS[metric.judges]) == FACTS[name]


def test_w1_compares_a_thousand_samples_at_most() -> None:
    facts = METRICS.own["w1"]().protocol(PointContext(1001, has_modes=False))
    assert (facts["n_real"], facts["n_fake"]) == (1000, 1000)
    # The sample that is one too many would add 1e6 / 1001 to the distance.
    points = np.zeros((1001, 2))
    far = np.concatenate([points[:-1], [[1e6, 0.0]]])
    assert METRICS.own["w1"]().measure(PointSamples(far, points, None, 1.0)) == 0


def test_a_metric_from_outside_records_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    class Origin:
        def identity(self) -> dict[str, str]:
            return {"sha256": "ab"}

    monkeypatch.setattr("lipschitz.metrics.base.origin_of", lambda kind: Origin() if kind is Spread else None)
    facts = protocol_facts([METRICS.own["w1"](), Spread()], CONTEXTS["points"])
    assert facts == {"w1": FACTS["w1"], Spread.name(): FACTS["w1"] | {"sha256": "ab"}}


def test_what_lacks_modes_or_labels_is_not_measured() -> None:
    plain: dict[Judged, Any] = {
        "points": PointContext(N, has_modes=False),
        "classifier": ImageContext(N, 3, conditional=False),
    }
    bare = {
        "points": replace(SAMPLES["points"], centers=None),
        "classifier": replace(SAMPLES["classifier"], labels=None),
    }
    found: dict[str, list[str]] = {}
    for judged, context in plain.items():
        # Those of classes that are modes need no labels; only their data sets say that they apply.
        kinds = [
            kind() for kind in METRICS.own.values() if kind.judges == judged and not issubclass(kind, ClassesCovered)
        ]
        found[judged] = [metric.name() for metric in METRICS.judging(judged, context)]
        assert list(measure_all(kinds, bare[judged])) == found[judged]
    assert found == {"points": ["w1"], "classifier": ["frechet_classifier", "w1_classifier", "kid_classifier"]}


def test_all_that_is_made_of_inner_products_shares_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    one_pass = inner_products.add_inner_products

    def counted(samples: Any, metrics: Any) -> None:
        passes.append(len(metrics))
        one_pass(samples, metrics)

    monkeypatch.setattr(inner_products, "add_inner_products", counted)
    metrics = METRICS.judging("inception", CONTEXTS["inception"])
    together = measure_all(metrics, _samples()["inception"])
    # The sums of the kernel, and the balls of four metrics.
    assert passes == [2]
    alone = {
        name: value for metric in metrics for name, value in measure_all([metric], _samples()["inception"]).items()
    }
    assert alone == together


def test_other_fields_are_another_name() -> None:
    wide, name = Spread(scale=2.0), Spread.name()
    summary = "Standard deviation of generated points."
    said = Description(f"{name}(scale=2.0)", "Spread, scale 2.0", "higher", "", "Doe 2031", summary)
    assert wide.describe() == said
    values = measure_all([Spread(), wide], SAMPLES["points"])
    one, two = values.values()
    assert two == pytest.approx(2 * one)
    context = CONTEXTS["points"]
    facts = {"reference": "fresh draw of the distribution", "n_real": N, "n_fake": N}
    assert protocol_facts([Spread()], context) == {name: facts}


WRONG = {
    "judges": (
        {"judges": "sounds"},
        "expected judges to be one of points, classifier, random_network, inception, images, got 'sounds'",
    ),
    "title": ({"title": ""}, "expected a title, the label of its axis or column, got none"),
    "better": ({"better": "larger"}, "expected better to be lower, higher or None, got 'larger'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_class_without_a_declaration_is_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, said = WRONG[case]
    for name, value in changed.items():
        monkeypatch.setattr(Spread, name, value)
    with pytest.raises(InputError) as error:
        Spread.check_class()
    assert str(error.value) == f"Spread: {said}"


def test_what_results_declare_follows_the_packages_own_and_replaces_none() -> None:
    own, other = CATALOGUE["w1"], Description("Spread", "Spread", "higher", "", "", "How wide.")
    catalogue = Catalogue([own])
    catalogue.declare([other, Description("w1", "Mine", None, "", "", "Mine.")])
    assert list(catalogue) == ["w1", "Spread"]
    assert (catalogue["w1"], catalogue["Spread"], len(catalogue)) == (own, other, 2)
    assert metric_of("w1") is own


def test_a_metric_of_the_sweep_is_known_by_its_name() -> None:
    further = [Spread(scale=2.0)]
    assert metric_of(f"{further[0].label()}/here", further).better == "higher"
    with pytest.raises(InputError, match="unknown metric 'Sprawl'"):
        metric_of("Sprawl", further)
