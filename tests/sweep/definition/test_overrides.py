"""Values of a sweep file that the command line overrides."""

from pathlib import Path

import pytest
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep


def loaded(folder: Path, *overrides: str, text: str = SMALL) -> list[tuple[int | None, float | None, int]]:
    sweep = load_sweep(write(folder, text), overrides=overrides)
    return [(run.training.steps, run.training.seconds, run.seed) for run in sweep.runs]


def test_a_value_is_replaced_as_if_the_file_had_it(tmp_path: Path) -> None:
    runs = load_sweep(write(tmp_path), overrides=["training.steps=5000", "seeds=[7]"]).runs
    text = SMALL.replace("steps: 120", "steps: 5000").replace("[0, 1]", "[7]")
    sweep = load_sweep(write(tmp_path, text))
    assert [run.id for run in runs] == [run.id for run in sweep.runs]
    assert load_sweep(write(tmp_path), overrides=["name=mine"]).folder == Path("results/mine")


def test_a_budget_replaces_one_of_another_kind_in_every_part(tmp_path: Path) -> None:
    assert set(loaded(tmp_path, "training.seconds=3")) == {(None, 3.0, 0), (None, 3.0, 1)}
    text = SMALL.replace("seeds: [0, 1]", "parts: [{seeds: [0]}, {seeds: [1], training: {seconds: 9}}]")
    assert set(loaded(tmp_path, text=text)) == {(120, None, 0), (None, 9.0, 1)}
    assert set(loaded(tmp_path, "training.steps=7", text=text)) == {(7, None, 0), (7, None, 1)}
    assert {seed for *_, seed in loaded(tmp_path, "seeds=[5]", text=text)} == {5}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.steps", "-o training.steps: allowed: KEY=VALUE, such as training.steps=5000 or seeds=[0, 1]"),
        ("training.steps=-1", "-o training.steps=-1: input should be greater than or equal to 1, found -1"),
        ("training.stepps=1", "-o training.stepps=1: unknown key 'stepps'; did you mean 'steps'?"),
        ("seeds.x=1", "-o seeds.x=1: seeds is no mapping of keys; give its whole value, as seeds=[...]"),
        ("seeds=[1", "-o seeds=[1: '[1' is not valid YAML; "),
        ("task=transport", "-o task=transport: 'task' is the file's own; "),
        ("constraints=[nine]", "-o constraints=[nine]: unknown constraint 'nine'; did you mean 'none'?"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        loaded(tmp_path, override)
    assert str(error.value).startswith(said)
