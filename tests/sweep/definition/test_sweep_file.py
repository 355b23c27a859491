"""Sweep files: what they expand to, and one clear line for each way to get one wrong."""

import json
from pathlib import Path

import pytest
from sweeps import SMALL, write
from torch import nn

from lipschitz.constraints.base import CONSTRAINTS, Refusal
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.errors import InputError
from lipschitz.sweep.definition.axes import json_schema
from lipschitz.sweep.definition.sweep_file import load_sweep

ROOT = Path(__file__).parents[3]


def test_every_axis_is_a_list_and_the_sweep_its_product(tmp_path: Path) -> None:
    text = SMALL + "    losses: [hinge, wasserstein]\n    settings: [A, {lr: 1e-3, betas: [0.0, 0.9], n_dis: 2}]\n"
    runs = load_sweep(write(tmp_path, text)).runs
    assert len(runs) == 2 * 2 * 2 * 2
    assert len({run.id for run in runs}) == len(runs)
    assert len({run.configuration for run in runs}) == 8
    assert {run.setting.label() for run in runs} == {"A", "adam(lr=0.001, betas=[0.0, 0.9], n_dis=2)"}


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    (run,) = load_sweep(
        write(
            tmp_path,
            SMALL.replace("[none, spectral_normalization]", "[{weight_clipping: {c: 1e-3}}]").replace("[0, 1]", "[0]"),
        )
    ).runs
    assert run.constraints[0].model_dump() == {"c": 0.001, "biases": True, "initial": False}
    assert run.labels()["constraint"] == "weight_clipping(c=0.001)"


def test_a_list_inside_the_list_is_a_combination(tmp_path: Path) -> None:
    text = SMALL.replace("[none, spec", "[[spectral_normalization, {gradient_penalty: {weight: 1.0}}], spec")
    labels = {run.labels()["constraint"] for run in load_sweep(write(tmp_path, text)).runs}
    assert labels == {"spectral_normalization", "spectral_normalization+gradient_penalty(weight=1.0)"}


def test_parts_override_what_they_must(tmp_path: Path) -> None:
    text = (
        SMALL
        + """\
    parts:
      - constraints: [gradient_penalty]
      - constraints: [weight_clipping]
        losses: [wasserstein]
        settings: [{optimiser: rmsprop, lr: 5e-5, n_dis: 5}]
        training: {steps: 60}
"""
    )
    runs = load_sweep(write(tmp_path, text)).runs
    assert len(runs) == 4
    penalised, clipped = runs[0], runs[-1]
    assert (penalised.loss.name(), penalised.training.steps) == ("hinge", 120)
    assert (clipped.loss.name(), clipped.training.steps, clipped.training.batch_size) == ("wasserstein", 60, 8)
    assert clipped.setting.label() == "rmsprop(lr=5e-05, n_dis=5)"


def test_auto_suits_the_data(tmp_path: Path) -> None:
    text = SMALL.replace("[eight_gaussians]", "[eight_gaussians, digits, mnist]").replace(
        "[{mlp: {width: 8, depth: 1}}]", "[auto]"
    )
    models = {run.dataset.label(): run.model.label() for run in load_sweep(write(tmp_path, text)).runs}
    assert models["eight_gaussians"] == "mlp"
    assert models["mnist"] == "dcgan"
    assert models["digits"] == "dcgan"


def test_the_limit_on_steps_is_part_of_the_id(tmp_path: Path) -> None:
    path = write(tmp_path)
    limited, whole = load_sweep(path, 20), load_sweep(path)
    assert {run.training.steps for run in limited.runs} == {20}
    assert not {run.id for run in limited.runs} & {run.id for run in whole.runs}


def test_ids_stay_what_they_were(tmp_path: Path) -> None:
    """Golden ids: an id names results on people's disks, so neither a default nor the hash may ever change."""
    text = SMALL.replace("[none, spectral_normalization]", "[none, gradient_penalty, {weight_clipping: {c: 0.1}}]")
    text = text.replace("[0, 1]", "[7]")
    assert [run.id for run in load_sweep(write(tmp_path, text)).runs] == GOLDEN


GOLDEN = [
    "eight_gaussians-mlp_width=8_depth=1_-none-hinge-C-s7-9044f7b5",
    "eight_gaussians-mlp_width=8_depth=1_-gradient_penalty-hinge-C-s7-f0c9e8ec",
    "eight_gaussians-mlp_width=8_depth=1_-weight_clipping_c=0.1_-hinge-C-s7-2bc1f37b",
]

WRONG = {
    "an unknown constraint": ("spectral_normalization]", "spectral_normalisation]", 5, ["constraints[1]", "did you mean 'spectral_normalization'?"]),
    "an unknown dataset": ("[eight_gaussians]", "[eight_gausians]", 3, ["datasets[0]", "did you mean 'eight_gaussians'?"]),
    "an unknown model": ("{mlp: {width: 8, depth: 1}}", "mpl", 4, ["models[0]", "unknown model 'mpl'"]),
    "a misspelt auto": ("{mlp: {width: 8, depth: 1}}", "aut", 4, ["models[0]", "did you mean 'auto'?"]),
    "an unknown metric": ("gradient_samples: 8", "select: w2", 8, ["evaluation.select", "unknown metric 'w2'", "w1"]),
    "an unknown task": ("task: generation", "task: generatoin", 2, ["task", "generation"]),
    "an unknown loss": ("seeds:", "losses: [hing]\n    seeds:", 6, ["losses[0]", "did you mean 'hinge'?"]),
    "an unknown setting": ("seeds:", "settings: [G]\n    seeds:", 6, ["settings[0]", "A, B, C, D, E, F"]),
    "a misspelt key": ("seeds:", "sedes:", 6, ["unknown key 'sedes'", "did you mean 'seeds'?"]),
    "a misspelt key of training": ("steps: 120", "stepz: 120", 7, ["training", "unknown key 'stepz'"]),
    "a misspelt hyperparameter": ("[none,", "[{weight_clipping: {C: 0.1}},", 5, ["weight_clipping.C", "allowed: biases, c"]),
    "a wrong hyperparameter": ("[none,", "[{weight_clipping: {c: -1}},", 5, ["weight_clipping.c", "greater than or equal to", "-1"]),
    "negative steps": ("steps: 120", "steps: -5", 7, ["training.steps", "greater than or equal to", "-5"]),
    "a string for a number": ("steps: 120", "steps: many", 7, ["training.steps", "'many'"]),
    "a quoted number": ("steps: 120", "steps: '120'", 7, ["training.steps", "'120'"]),
    "duplicate seeds": ("[0, 1]", "[0, 1, 0]", 6, ["seeds", "0 is listed twice"]),
    "a field without a use": ("[none,", "[{gradient_penalty: {noise: 0.1}},", 5, ["gradient_penalty: noise moves perturbed_real points alone, not interpolates"]),
    "two budgets": ("steps: 120", "steps: 120, seconds: 2", 7, ["training", "two budgets; allowed: one of them"]),
    "a duplicate constraint": ("[none,", "[none, none,", 5, ["constraints", "none is listed twice"]),
    "no seeds": ("[0, 1]", "[]", 6, ["seeds: expected at least one entry, got an empty list"]),
    "a model that does not suit": ("{mlp: {width: 8, depth: 1}}", "dcgan", 4, ["models[0]", "eight_gaussians", "dcgan takes images"]),
    "a size not a multiple of 8": ("[eight_gaussians]\n    models: [{mlp: {width: 8, depth: 1}}]", "[{mnist: {size: 28}}]", 3, ["multiple of 8", "28"]),
    "a metric of other data": ("gradient_samples: 8", "select: frechet_classifier", 8, ["frechet_classifier", "eight_gaussians", "w1"]),
    "a loss with fields": ("seeds:", "losses: [{hinge: {margin: 1}}]\n    seeds:", 6, ["losses[0]", "hinge.margin: unknown key 'margin'"]),
    "a setting in a list": ("seeds:", "settings: [[A]]\n    seeds:", 6, ["settings[0]", "unknown setting"]),
    "one sample": ("samples: 32", "samples: 1", 8, ["evaluation.samples", "greater than or equal to 2"]),
    "a method combined with itself": ("[none,", "[[weight_clipping, weight_clipping],", 5, ["constraints[0]", "weight_clipping is listed twice"]),
    "none combined": ("[none,", "[[none, weight_clipping],", 5, ["constraints[0]", "none cannot be combined"]),
    "an entry of two names": ("[none,", "[{none: {}, weight_clipping: {}},", 5, ["constraints[0]", "one name"]),
    "a duplicate key": ("seeds: [0, 1]", "seeds: [0]\n    seeds: [1]", 7, ["not valid YAML", "duplicate key"]),
    "a bad name": ("name: small", "name: ../up", 1, ["name: expected letters (a-z, A-Z), digits and . _ - only, the first a letter or digit, found '../up'"]),
    "a name for a list": ("[none, spectral_normalization]", "none", 5, ["constraints: expected a list, such as [none], found 'none'"]),
    "a number for a list": ("[0, 1]", "3", 6, ["seeds: expected a list of seeds, such as [0, 1, 2], found 3"]),
    "a decimal number of steps": ("steps: 120", "steps: 1e5", 7, ["training.steps: expected a whole number: write 100000, found 1"]),
    "a text of steps": ("steps: 120", "steps: '120'", 7, ["training.steps: expected a whole number: write 120, found '120'"]),
    "nothing for a list": ("[0, 1]", "", 6, ["seeds: expected a list, found None"]),
    "no losses": ("seeds:", "losses: []\n    seeds:", 6, ["losses: expected at least one entry, got an empty list"]),
    "a number for a mapping": ("seeds:", "select: 3\n    seeds:", 6, ["select: expected a mapping, such as {", ", found 3"]),
    "a number for fields": ("[none,", "[{weight_clipping: 3},", 5, ["weight_clipping: expected a mapping, such as {c: ...}, found 3"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_wrong_input_is_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    right, wrong, line, said = WRONG[case]
    assert right in SMALL
    path = write(tmp_path, SMALL.replace(right, wrong))
    with pytest.raises(InputError) as error:
        load_sweep(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}:{line}: ")
    for words in said:
        assert words in message


def test_an_error_in_a_part_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + "    parts:\n      - seeds: [0]\n      - training: {steps: 0}\n")
    with pytest.raises(
        InputError, match=r"small.yaml:11: parts\[1\].training.steps: .* greater than or equal to 1, found 0"
    ):
        load_sweep(path)


@pytest.mark.parametrize("text", ["", "- a list", "{unclosed", "name: x", "\t: tab"])
def test_what_is_no_sweep_file_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as error:
        load_sweep(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml"):
        load_sweep(tmp_path / "absent.yaml")


def test_the_schema_knows_every_name_and_documents_every_field() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    for name in ("spectral_normalization", "power_iterations", "eight_gaussians", "dcgan", "hinge", "n_dis", "parts"):
        assert f'"{name}"' in text
    assert all("description" in field for field in schema["properties"].values())
    for record in ("Training", "Evaluation"):
        assert all("description" in field for field in schema["$defs"][record]["properties"].values())


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_committed_sweeps_expand(path: Path) -> None:
    assert load_sweep(path).runs


def test_what_a_constraint_refuses_is_refused_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(WeightClipping):
        """Refuses convolutions."""

        __module__ = "lipschitz.constraints.weight_clipping"

        def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
            assert next(net.parameters()).is_meta, "a plan builds no weights"
            raise Refusal(f"cannot bound samples of {shape}")

    monkeypatch.setitem(CONSTRAINTS.catalogue, "weight_clipping", Picky)
    path = write(tmp_path, SMALL.replace("[none", "[none, weight_clipping"))
    with pytest.raises(InputError, match=r"small.yaml:\d+: constraints\[1\]: .*: cannot bound samples of \(2,\)"):
        load_sweep(path)


def test_the_start_of_the_weights_is_an_axis(tmp_path: Path) -> None:
    starts = "models: [{mlp: {width: 8, init: normal}}, {mlp: {width: 8, init: method}}, {mlp: {width: 8}}]"
    text = SMALL.replace("models: [{mlp: {width: 8, depth: 1}}]", starts)
    labels = {run.labels()["model"] for run in load_sweep(write(tmp_path, text)).runs}
    assert labels == {"mlp(width=8, init=normal)", "mlp(width=8, init=method)", "mlp(width=8)"}
    with pytest.raises(InputError, match=r"init 'method' is not one start"):
        load_sweep(write(tmp_path, text.replace("[none, spec", "[[weight_clipping, bjorck], spec")))
    with pytest.raises(InputError, match=r"init.*'he', 'normal', 'glorot', 'orthogonal', 'dirac'"):
        load_sweep(write(tmp_path, text.replace("normal", "kaiming")))
