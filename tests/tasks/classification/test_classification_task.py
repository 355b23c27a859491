"""Sweep files of the task classification: what they expand to, and one line, with its place, for what is wrong."""

import re
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.input_checks import check_data

SWEEP = """\
    name: small
    task: classification
    datasets: [digits]
    models: [{mlp_classifier: {width: 8, depth: 1}}]
    constraints: [none]
    seeds: [0]
    training: {epochs: 3, batch_size: 50}
"""
OWN = "{npz: {file: own.npz, size: 4, channels: 1, num_classes: 3}}"


def load(folder: Path, *changes: tuple[str, str]) -> Sweep:
    text = dedent(SWEEP)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "small.yaml"
    path.write_text(text)
    return load_sweep(path, None, folder / "out")


def test_epochs_become_steps_by_the_number_of_training_images(tmp_path: Path) -> None:
    # 901 digits to train on, of which a tenth, 90, is for validation: 3 x 811 / 50, rounded up.
    assert load(tmp_path).runs[0].training.steps == 49
    of_task = ("task: classification", "task: {classification: {train_size: 100}}")
    assert load(tmp_path, of_task).runs[0].training.steps == 6
    own = load(tmp_path, of_task, ("digits", OWN))
    assert own.runs[0].training.steps == 6
    assert own.runs[0].id != load(tmp_path, of_task, ("digits", OWN), ("epochs: 3", "steps: 6")).runs[0].id


WRONG = {
    "unlabelled": (
        "digits",
        "{npz: {file: a.npz, size: 8, channels: 1}}",
        "labelled images (npz and folder: with num_cl",
    ),
    "one class": ("digits", OWN.replace("3}", "1}"), "has 1 class; allowed: two classes or more"),
    "points": ("digits", "eight_gaussians", "has no labels; allowed: labelled images"),
    "model": ("{mlp_classifier: {width: 8, depth: 1}}", "dcgan", "dcgan is no classifier; allowed: auto, "),
    "loss": ("seeds", "losses: [hinge]\nseeds", "hinge is no loss of a classifier; allowed: cross_entropy"),
    "setting": ("seeds", "settings: [A]\nseeds", "classification has no generator; allowed: n_dis: 1"),
    "ema": ("epochs: 3", "epochs: 3, ema: 0.9", "classification has no generator; ema is not supported"),
    "too large": ("task: classification", "task: {classification: {train_size: 812}}", "there are 811 training images"),
    "size not known": ("digits", OWN, "is not known before they are loaded; allowed: steps or seconds, or train_size"),
    "penalty": ("[none]", "[zero_gp]", "zero_gp needs generated samples, but this task has none; allowed: zero_cent"),
    "penalty of both": ("[none]", "[gradient_penalty]", "this task has none; allowed: points: real or perturbed_real"),
    "two-sided": (
        "[none]",
        "[{gradient_penalty: {points: real}}]",
        "pulls the gradient of the loss to one, also where an image is fitted; allowed: one_sided: true, zero_centered",
    ),
    "balanced": (
        "[none]",
        "[{consistency_regularization: {generated_weight: 1.0, shift: 1}}]",
        "generated_weight needs generated samples, but this task has none; allowed: gen",
    ),
    "outputs": ("[none]", "[lecam_regularization]", "but this task has none; allowed: task: generation"),
    "one output": ("[none]", "[gradient_normalization]", "one output per sample, got shape (2, 10); allowed: spectral"),
    "certified after batch normalization": (
        "[none]",
        "[[batch_normalization, aol]]",
        "aol cannot bound 'blocks.0.norm' (BatchNorm1d): it divides by a standard deviation",
    ),
    "certified before layer normalization": (
        "[none]",
        "[[cayley, layer_normalization]]",
        "cayley cannot bound 'blocks.0.norm' (GroupNorm): it divides by a standard deviation",
    ),
    "certified with batch_norm of the model": (
        "{mlp_classifier: {width: 8, depth: 1}}]\nconstraints: [none]",
        "{gouk_cnn: {width: 2, batch_norm: true}}]\nconstraints: [soc]",
        "soc cannot bound 'blocks.0.norm' (BatchNorm2d): it divides by a standard deviation",
    ),
    "chosen by test": (
        "seeds",
        "evaluation: {select: accuracy/test}\nseeds",
        "cannot be selected by accuracy/test",
    ),
    "epochs of a GAN": (
        "classification\ndatasets: [digits]\nmodels: [{mlp_classifier: {width: 8, depth: 1}}]",
        "generation\ndatasets: [digits]",
        "generation has no epochs; allowed: steps or seconds",
    ),
    "loss of a GAN": (
        "classification\ndatasets: [digits]\nmodels: [{mlp_classifier: {width: 8, depth: 1}}]",
        "generation\ndatasets: [digits]\nlosses: [cross_entropy]",
        "cross_entropy is no loss of a GAN; allowed: ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path: Path, case: str) -> None:
    old, new, said = WRONG[case]
    with pytest.raises(InputError) as error:
        load(tmp_path, (old, new))
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'small.yaml'}:")
    assert "\n" not in str(error.value)


DETACHED = """\
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.models.mlp_classifier import MLPClassifier


class Detach(nn.Module):
    def forward(self, x):
        return x.detach()


class FixedFeatures(MLPClassifier):
    def build_classifier(self, shape, classes):
        return nn.Sequential(Detach(), super().build_classifier(shape, classes))


class Detaches(Constraint):
    source = "this test"
    promise = "none"

    def wrap(self, net, shape):
        return nn.Sequential(Detach(), net)
"""


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("[{mlp_classifier: {width: 8, depth: 1}}]", "[auto, own.py:FixedFeatures]", "models[1]"),
        ("[none]", "[none, own.py:Detaches]", "constraints[1]"),
    ],
)
def test_a_classifier_without_a_gradient_by_its_input_is_refused_by_the_plan(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    (tmp_path / "own.py").write_text(DETACHED)
    with pytest.raises(InputError) as error:
        load(tmp_path, (old, new))
    assert re.match(rf".*small\.yaml:\d: {re.escape(key)}: ", str(error.value))
    said = "the classifier has no gradient by its input, which measurements follow; allowed: a differentiable one"
    assert said in str(error.value)


def test_data_without_an_image_of_a_class_are_refused_before_the_first_run(tmp_path: Path) -> None:
    labels = np.array([0] * 20 + [1] * 20)
    np.savez(
        tmp_path / "own.npz",
        images=np.zeros((40, 4, 4), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None],
        labels=labels,
    )
    sweep = load(tmp_path, ("digits", OWN), ("epochs: 3", "steps: 3"))
    none = r"own\.npz.*: no image of class 2 among the 27 training images; allowed: a smaller validation, or data"
    with pytest.raises(InputError, match=none):
        check_data(sweep, tmp_path)
    few = load(tmp_path, ("digits", OWN), ("task: classification", "task: {classification: {train_size: 35}}"))
    with pytest.raises(InputError, match=r"train_size 35: there are 27 training images besides those for validation"):
        check_data(few, tmp_path)


def test_a_share_that_leaves_no_validation_image_is_refused_before_the_first_run(tmp_path: Path) -> None:
    labels = np.arange(40) % 3
    np.savez(
        tmp_path / "own.npz", images=np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8), labels=labels
    )
    task = ("task: classification", "task: {classification: {validation: 0.01}}")
    sweep = load(tmp_path, ("digits", OWN), ("epochs: 3", "steps: 3"), task)
    with pytest.raises(
        InputError, match=r"validation 0\.01: of 31 training images that is none; allowed: a larger share"
    ):
        check_data(sweep, tmp_path)


def test_the_smoke_test_has_every_constraint_or_says_why_not() -> None:
    text = (Path(__file__).parents[3] / "benchmarks" / "classification_smoke.yaml").read_text()
    head, _, body = text.partition("name: ")
    named, excused = (set(re.findall(r"\w+", part)) & CONSTRAINTS.own.keys() for part in (body, head))
    assert named.isdisjoint(excused)
    assert named | excused == CONSTRAINTS.own.keys()
