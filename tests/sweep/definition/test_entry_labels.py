"""Labels that a sweep file gives to its entries: read by people, no part of a run."""

import json
from pathlib import Path

import pytest
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition.axes import json_schema
from lipschitz.sweep.definition.run_filter import filtered
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep

METHODS = '[none, {spectral_normalization: {label: "SN (conv)", operator: convolution}}]'


def labelled(folder: Path, methods: str = METHODS, text: str = SMALL) -> Sweep:
    return load_sweep(write(folder, text.replace("[none, spectral_normalization]", methods)))


def test_a_label_changes_no_run(tmp_path: Path) -> None:
    plain = labelled(tmp_path, METHODS.replace('label: "SN (conv)", ', ""))
    sweep = labelled(tmp_path)
    assert [run.id for run in sweep.runs] == [run.id for run in plain.runs]
    recorded = sweep.runs[-1].labels()["constraint"]
    assert sweep.definition()["labels"] == {"constraint": {recorded: "SN (conv)"}}
    assert "labels" not in plain.definition()


def test_every_axis_and_combinations_have_labels(tmp_path: Path) -> None:
    text = """\
        name: small
        task: generation
        datasets: [{eight_gaussians: {label: Ring}}]
        models: [{mlp: {width: 8, depth: 1, label: Small}}]
        constraints: [none, [{spectral_normalization: {label: SN}}, {gradient_penalty: {label: GP}}]]
        losses: [{hinge: {label: Hinge loss}}]
        settings: [{lr: 1e-3, label: fast}]
        seeds: [0]
        training: {steps: 5, batch_size: 8}
    """
    sweep = load_sweep(write(tmp_path, text))
    labels = sweep.runs[-1].labels()
    assert {axis: names[labels[axis]] for axis, names in sweep.labels.items()} == {
        "dataset": "Ring",
        "model": "Small",
        "constraint": "SN+GP",
        "loss": "Hinge loss",
        "setting": "fast",
    }


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("[none, {aol: {label: 3}}]", r"small.yaml:5: constraints\[1\].aol.label: expected a text of 1 to 60 char"),
        ("[none, {aol: {label: ''}}]", "expected a text of 1 to 60 characters, found ''"),
        ("[{aol: {label: M}}, {bjorck: {label: M}}]", "aol and bjorck are both called 'M'; give each its own label"),
        ("[{aol: {label: none}}, none]", "aol and none are both called 'none'"),
        ("[none, {aol: {label: none}}]", "none and aol are both called 'none'"),
        ("[none, {aol: {label: M, zz: 1}}]", "aol.zz: unknown key 'zz'"),
    ],
)
def test_a_label_that_cannot_be_used_is_named(tmp_path: Path, methods: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        labelled(tmp_path, methods)


def test_one_entry_with_two_labels_is_refused(tmp_path: Path) -> None:
    parts = (
        "seeds: [0]\n    parts: [{constraints: [{aol: {label: A}}]}, {constraints: [{aol: {label: B}}], seeds: [1]}]"
    )
    with pytest.raises(InputError, match="aol has two labels, 'A' and 'B'"):
        load_sweep(write(tmp_path, SMALL.replace("seeds: [0, 1]", parts)))


def test_runs_are_chosen_by_their_label(tmp_path: Path) -> None:
    sweep = labelled(tmp_path)
    for value in ("SN (conv)", "spectral_normalization(*"):
        assert [run.seed for run in filtered(sweep.runs, [f"constraint={value}"], sweep.labels)] == [0, 1]


def test_editors_know_the_label_of_every_axis() -> None:
    schema = json_schema()
    for axis in ("datasets", "models", "losses", "settings"):
        assert "What tables and plots call the entry" in json.dumps(schema["properties"][axis])
    assert "What tables and plots call the entry" in json.dumps(schema["$defs"]["constraint"])
    assert "What tables" not in json.dumps(schema["properties"]["generator_constraints"])
