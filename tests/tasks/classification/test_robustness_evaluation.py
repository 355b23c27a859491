"""Robustness as runs record it: every name is described, certified <= attacked, and a wrong bound is an error."""

import math

import pytest
import torch
from gan_terms import TERMS, with_terms
from small_classification_task import classification
from torch import nn

from lipschitz.datasets.images.digits import Digits
from lipschitz.errors import InputError
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.metrics.margins import margin_quantiles, margins
from lipschitz.metrics.predictions import logits_of
from lipschitz.metrics.robustness import EPSILONS, certified
from lipschitz.models.gouk_cnn import GoukCNN
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.tasks.classification.certificates import Outputs, certified_values, radii
from lipschitz.tasks.classification.classification import ClassificationTask
from lipschitz.tasks.classification.robustness_evaluation import protocols, robustness_values
from lipschitz.tasks.losses import CrossEntropy
from lipschitz.tasks.measurement import measure_discriminator

torch.manual_seed(0)
NET = MLPClassifier(width=8, depth=1).build_classifier((1, 4, 4), 3)
IMAGES = torch.rand(40, 1, 4, 4) * 2 - 1
LABELS = logits_of(NET, IMAGES).argmax(dim=1)
MEASURED = measure_discriminator(NET, {"real": IMAGES}, outputs=3).values


def coarse() -> nn.Module:
    """Return logits (0, x) by way of a bias of 1e6, which the last layer subtracts: float32 rounds x to n / 16."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 1), nn.Linear(1, 2))
    weights = {"1.weight": [[1.0]], "1.bias": [1e6], "2.weight": [[0.0], [1.0]], "2.bias": [0.0, -1e6]}
    net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return net


def outputs_of(net: nn.Module, images: torch.Tensor) -> Outputs:
    with float64_copy(net) as twin:
        return Outputs(logits_of(net, images), logits_of(twin, images.double()))


def test_values_are_described_and_ordered() -> None:
    values, notes = robustness_values(NET, IMAGES, LABELS, MEASURED, seed=0)
    assert notes == []
    assert robustness_values(NET, IMAGES, LABELS, MEASURED, seed=0)[0] == values
    joint = certified_values(NET, IMAGES, logits_of(NET, IMAGES), LABELS, MEASURED)
    for name in (*values, *joint):
        assert CATALOGUE[name.partition("/")[0]].summary, name
    places = [f"{epsilon:.3g}" for epsilon in EPSILONS]
    for place in places:
        assert joint[f"certified_accuracy_joint/{place}"] <= values[f"certified_accuracy/{place}"]
        assert values[f"certified_accuracy/{place}"] <= values[f"pgd_accuracy/{place}"]
    assert 0 < values[f"certified_accuracy/{places[0]}"] < 1
    assert set(protocols(40)) <= set(values)
    assert values["certified_accuracy/0"] == values["pgd_accuracy/0"] == 1, "labels are the predictions"
    # Of the largest noise the loss, and of none the smallest.
    assert values["logit_change/noise_0.2"] > values["logit_change/noise_0.05"] > 0
    # One layer of 16 inputs and one of 8 units: the norms of kernels and operators agree.
    assert values["spectral_complexity/reshaped"] == values["spectral_complexity/operator"] > 0


@pytest.mark.parametrize("bound", [0.2, 1.0, 5.0, math.inf])
def test_the_joint_certificate_is_that_of_all_images_in_float64(bound: float) -> None:
    found = certified_values(NET, IMAGES, logits_of(NET, IMAGES), LABELS, {"lipschitz_upper": bound})
    expected = certified(outputs_of(NET, IMAGES).certified_radii(LABELS, bound), radii()).double().mean(dim=1)
    assert list(found.values()) == expected.tolist()


def test_certificates_are_of_exact_arithmetic_and_only_where_float32_agrees() -> None:
    net = coarse()
    images = torch.tensor([0.05, 0.02]).view(2, 1, 1, 1)
    labels = torch.tensor([1, 1])
    outputs = outputs_of(net, images)
    assert outputs.float32[:, 1].tolist() == [0.0625, 0]
    # The first is right by 0.05. Of the second float32 predicts the other class.
    assert outputs.certified_radii(labels, 1 / math.sqrt(2)).tolist() == pytest.approx([0.05, 0], rel=1e-6)
    values, _ = robustness_values(net, images, labels, {"lipschitz_upper": 1.0}, seed=0)
    assert values["certified_accuracy/0"] == values["pgd_accuracy/0"] == 0.5


def test_a_bound_that_an_attack_contradicts_is_an_error() -> None:
    wrong = MEASURED | {"lipschitz_upper": 1e-3}
    line = (
        r"an attack within 0\.1412 fooled \d+ of the \d+ samples that are certified there by the joint bound Lip\(D\) <= "
        r"0\.001, which is not valid; allowed: a lipschitz_constant of your layers that holds, or robustness: never$"
    )
    with pytest.raises(InputError, match=line):
        robustness_values(NET, IMAGES, LABELS, wrong, seed=0)


def test_rounding_of_float32_contradicts_no_certificate() -> None:
    # Right by 0.3 within a radius of 0.282; float32 rounds the 0.018 that are left to zero, where both logits agree.
    images, labels = torch.tensor([0.3]).view(1, 1, 1, 1), torch.tensor([1])
    values, notes = robustness_values(coarse(), images, labels, {"lipschitz_upper": 1 / math.sqrt(2)}, seed=0)
    assert (values["certified_accuracy/0.141"], values["pgd_accuracy/0.141"]) == (1, 0)
    assert [note for note in notes if note.startswith("float32 rounding let an attack fool 1 certified images")]


def test_at_zero_the_curve_is_the_accuracy_on_the_attacked_images() -> None:
    wrong = LABELS.clone()
    wrong[:10] = (wrong[:10] + 1) % 3
    values, notes = robustness_values(NET, IMAGES, wrong, MEASURED, seed=0)
    assert values["certified_accuracy/0"] == values["pgd_accuracy/0"] == pytest.approx(0.75)
    assert values["pgd_accuracy/0.141"] <= 0.75
    assert protocols(40)["pgd_accuracy/0"]["images"] == 40
    assert notes == []


def test_a_network_without_a_spectral_complexity_has_a_note_and_all_other_values() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), NET)
    values, notes = robustness_values(net, IMAGES, LABELS, {"lipschitz_upper": 10.0}, seed=0)
    assert notes == ["no spectral complexity: padding mode 'reflect' is not supported; supported: zeros"]
    assert "spectral_complexity/operator" not in values
    assert "certified_accuracy/1" in values


@pytest.mark.usefixtures("brief_bracket")
def test_complexity_and_products_do_not_depend_on_how_batch_normalization_shares_its_scale() -> None:
    # A convolution times 0.1, with running statistics that fit, is the same function.
    net = GoukCNN(width=2, batch_norm=True).build_classifier((1, 4, 4), 3).eval()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 2)
            norm.eps = 0.0
    found = []
    for factor in (1.0, 0.1):
        with torch.no_grad():
            for block in net.blocks:
                block.conv.weight.mul_(factor)
                block.conv.bias.mul_(factor)
                block.norm.running_mean.mul_(factor)
                block.norm.running_var.mul_(factor**2)
        measured = measure_discriminator(net, {"real": IMAGES}, outputs=3).values
        found.append(robustness_values(net, IMAGES, LABELS, measured, seed=0)[0])
    for name in ("spectral_complexity", "sigma_product"):
        for kind in ("reshaped", "operator"):
            before, after = (values[f"{name}/{kind}"] for values in found)
            assert before == pytest.approx(after, rel=1e-4)
    measured = {name: value for name, value in measured.items() if name.startswith("sigma_operator/")}
    assert found[1]["sigma_product/operator"] > 50 * math.prod(measured.values())


@pytest.mark.usefixtures("brief_bracket")
def test_margins_are_of_training_images_and_of_test_images_apart() -> None:
    task = classification(steps=1)
    values = task.evaluate("a")
    for name, part in (("margin_over_lipschitz_train", "train"), ("margin_over_lipschitz", "test")):
        shown, labels = task._examples.fixed(part, 30)
        of_part = margins(logits_of(task.classifier, shown), labels)
        expected = margin_quantiles(of_part, values["lipschitz_upper"], (0.05, 0.5))
        assert [values[f"{name}/{quantile}"] for quantile in (0.05, 0.5)] == pytest.approx(expected, rel=1e-3)
    assert values["margin_over_lipschitz_train/0.5"] != values["margin_over_lipschitz/0.5"]


@pytest.mark.parametrize(("when", "evaluated", "at_end"), [("last", 0, 1), ("every", 1, 0), ("never", 0, 0)])
def test_it_is_measured_when_the_task_says(when: str, evaluated: int, at_end: int) -> None:
    terms = with_terms(
        TERMS, model=MLPClassifier(width=4, depth=1), loss=CrossEntropy(), selection="accuracy/validation"
    )
    task = ClassificationTask(robustness=when, attacked=5).build(Digits().load(None, torch.device("cpu")), terms)
    assert ("pgd_accuracy/1" in task.evaluate("step 0")) == evaluated
    assert ("pgd_accuracy/1" in task.evaluate_at_end()) == at_end
    protocols_ = task.facts()["protocols"]
    assert ("pgd_accuracy/1" in protocols_) == (when != "never")
    if when != "never":
        assert protocols_["pgd_accuracy/1"]["images"] == 5
