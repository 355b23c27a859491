"""The tasks by name, and one clear line, with its place in the sweep file, for what they cannot be made of."""

from pathlib import Path
from textwrap import dedent

import pytest

from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.points import EightGaussians
from lipschitz.datasets.transport.funnels import Funnels
from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import metric_of
from lipschitz.models.base import MODELS, PairModel
from lipschitz.models.critic import Critic
from lipschitz.models.mlp import MLP
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.tasks.base import TASKS, Unsuitable
from lipschitz.tasks.losses import Hinge, Wasserstein
from lipschitz.tasks.settings import SETTINGS

TRANSPORT = """\
    name: pairs
    task: transport
    datasets:
      - funnels
      - {funnels: {dim: 4}}
    models: [critic]
    constraints: [none]
    losses: [wasserstein]
    settings: [C]
    seeds: [0]
    training: {steps: 10}
"""
GENERATION = TRANSPORT.replace("task: transport", "task: generation").replace("models: [critic]", "models: [mlp]")
KNOWN = TRANSPORT.replace("      - funnels\n", "").replace("{funnels: {dim: 4}}", "scaled_gaussian")
"""A pair of known densities, in the fourth line."""
GENERATION = GENERATION.replace("- funnels", "- eight_gaussians").replace("- {funnels: {dim: 4}}", "- swiss_roll")


def written(folder: Path, text: str) -> Path:
    path = folder / "pairs.yaml"
    path.write_text(dedent(text))
    return path


def test_there_is_a_task_for_each_example() -> None:
    assert set(TASKS) == {"classification", "generation", "transport"}


def test_both_examples_are_right(tmp_path: Path) -> None:
    assert len(load_sweep(written(tmp_path, TRANSPORT)).runs) == 2
    assert len(load_sweep(written(tmp_path, GENERATION)).runs) == 2


@pytest.mark.parametrize("task", TASKS)
def test_each_task_takes_its_own_defaults(task: str) -> None:
    kind = TASKS[task]()
    by_itself = [kind for kind in DATASETS.values() if not any(f.is_required() for f in kind.model_fields.values())]
    suited = [each() for each in by_itself if (each.kind == "pairs") == (task == "transport")]
    if task == "classification":
        suited = [each for each in suited if each.classes]
    assert suited
    for dataset in suited:
        model = kind.default_model(dataset.shape)
        model.check(dataset.shape)
        kind.check(dataset, model, kind.default_loss(), SETTINGS["C"])
        metrics = kind.judged_by(dataset)
        assert all(metric_of(name).better for name in metrics), "a run is judged by what has a good direction"


def test_what_suits_whom() -> None:
    assert TASKS["transport"]().default_model((7,)) == Critic()
    assert TASKS["generation"]().default_model((2,)) == MLP()
    assert TASKS["transport"]().judged_by(Funnels())[0] == "cosine"
    assert TASKS["generation"]().judged_by(EightGaussians())[0] == "w1"
    # A perceptron has a discriminator, too.
    TASKS["transport"]().check(Funnels(), MLP(), Wasserstein(), SETTINGS["C"])


UNSUITABLE = {
    "transport of a single distribution": (TRANSPORT, "- {funnels: {dim: 4}}", "- eight_gaussians", 5, "datasets[1]: eight_gaussians has no known transport; allowed: task: generation"),
    "transport of images": (TRANSPORT, "- funnels", "- digits", 4, "datasets[0]: digits has no known transport; allowed: task: generation"),
    "another loss": (TRANSPORT, "[wasserstein]", "[wasserstein, hinge]", 8, "losses[1]: transport maximises the Wasserstein dual, not hinge; allowed: wasserstein"),
    "a loss without a known optimum": (KNOWN, "[wasserstein]", "[non_saturating, hinge]", 7, "losses[1]: transport maximises the Wasserstein dual, not hinge; allowed: wasserstein, non_saturating, minimax"),
    "several updates": (TRANSPORT, "settings: [C]", "settings: [C, {lr: 1e-3, n_dis: 5}]", 9, "settings[1]: transport has no generator, and n_dis is 5; allowed: 1"),
    "a setting of several updates": (TRANSPORT, "settings: [C]", "settings: [D]", 9, "settings[0]: transport has no generator, and n_dis is 5; allowed: 1"),
    "a model of images": (TRANSPORT, "[critic]", "[critic, dcgan]", 6, "models[1]: funnels: dcgan takes images, not points (2,); allowed: mlp, auto"),
    "a metric of generation": (TRANSPORT, "training: {steps: 10}", "training: {steps: 10}\n    evaluation: {select: w1}", 12, "evaluation.select: runs on funnels cannot be selected by w1; "),
    "a metric that judges nothing": (TRANSPORT, "training: {steps: 10}", "training: {steps: 10}\n    evaluation: {select: w1_dual}", 12, "evaluation.select: runs on funnels cannot be selected by w1_dual; "),
    "a layout of pairs": (TRANSPORT, "{steps: 10}", "{steps: 10, layout: channels_last}", 11, "training.layout: channels_last is a layout of images, and funnels has pairs; allowed: contiguous"),
    "a layout of points": (GENERATION, "{steps: 10}", "{steps: 10, layout: channels_last}", 11, "training.layout: channels_last is a layout of images, and eight_gaussians has points; allowed: contiguous"),
    "a layout of points in a part": (GENERATION, "{steps: 10}", "{steps: 10}\n    parts:\n      - training: {layout: channels_last}", 13, "parts[0].training.layout: channels_last is a layout of images"),
    "generation of a pair": (GENERATION, "- swiss_roll", "- {funnels: {dim: 4}}", 5, "datasets[1]: funnels(dim=4) is a pair of distributions; allowed: task: transport"),
    "generation without a generator": (GENERATION, "[mlp]", "[mlp, critic]", 6, "models[1]: critic has no generator; allowed: "),
    "a metric of transport": (GENERATION, "training: {steps: 10}", "training: {steps: 10}\n    evaluation: {select: cosine}", 12, "evaluation.select: runs on eight_gaussians cannot be selected by cosine; "),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSUITABLE, ids=str)
def test_what_does_not_suit_is_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    text, right, wrong, line, said = UNSUITABLE[case]
    assert right in text
    path = written(tmp_path, text.replace(right, wrong))
    with pytest.raises(InputError) as error:
        load_sweep(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}:{line}: {said}")


def test_in_a_part_the_line_is_the_part_s(tmp_path: Path) -> None:
    parts = "    parts:\n      - seeds: [1]\n      - losses:\n          - wasserstein\n          - minimax\n"
    path = written(tmp_path, TRANSPORT + parts)
    with pytest.raises(
        InputError, match=r"pairs.yaml:16: parts\[1\].losses\[1\]: .*minimax is log p/q, which is not known of"
    ):
        load_sweep(path)


def test_the_models_with_a_generator_are_all_named() -> None:
    with pytest.raises(Unsuitable) as error:
        TASKS["generation"]().check(EightGaussians(), Critic(), Hinge(), SETTINGS["C"])
    assert error.value.axis == "models"
    allowed = str(error.value).partition("allowed: ")[2].split(", ")
    assert set(allowed) == {"auto", *(name for name, kind in MODELS.items() if issubclass(kind, PairModel))}


def test_the_default_losses() -> None:
    assert TASKS["generation"]().default_loss() == Hinge()
    assert TASKS["transport"]().default_loss() == Wasserstein()


def test_a_transport_sweep_that_names_no_loss_means_the_dual(tmp_path: Path) -> None:
    runs = load_sweep(written(tmp_path, TRANSPORT.replace("    losses: [wasserstein]\n", ""))).runs
    assert {run.loss for run in runs} == {Wasserstein()}
    explicit = load_sweep(written(tmp_path, TRANSPORT)).runs
    assert [run.id for run in runs] == [run.id for run in explicit]
