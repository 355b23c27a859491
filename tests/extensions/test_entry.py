"""Methods from outside in sweep files: what they are called, what makes a run the same run, and one line for a mistake."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from own_method import METHOD, install, write_method
from pydantic import TypeAdapter, ValidationError
from sweeps import SMALL, write

from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.errors import InputError
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.sweep.definition.axes import ConstraintEntry, json_schema
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.tasks.settings import Setting


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path)
    return tmp_path


def runs_of(folder: Path, constraints: str) -> tuple[Run, ...]:
    text = SMALL.replace("[none, spectral_normalization]", constraints).replace("[0, 1]", "[7]")
    return load_sweep(write(folder, text)).runs


def test_a_file_is_allowed_wherever_a_name_is(folder: Path) -> None:
    entries = "[mine.py:Decay, {mine.py:Decay: {weight: 2.0}}, [weight_clipping, {./mine.py:Decay: {weight: 3.0}}]]"
    runs = runs_of(folder, entries)
    assert [run.labels()["constraint"] for run in runs] == [
        "Decay",
        "Decay(weight=2.0)",
        "weight_clipping+Decay(weight=3.0)",
    ]
    assert re.fullmatch(r"eight_gaussians-mlp_.*_-Decay_weight=2.0_-hinge-C-s7-[0-9a-f]{8}", runs[1].id)


def test_a_relative_path_starts_from_the_folder_that_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    entry = TypeAdapter(ConstraintEntry)
    (constraint,) = entry.validate_python("mine.py:Decay", context={"folder": folder})
    assert constraint.label() == "Decay"
    with pytest.raises(ValidationError, match=r"elsewhere/mine.py: cannot be read"):
        entry.validate_python("mine.py:Decay")


def test_the_id_hashes_the_file_s_content(folder: Path) -> None:
    (before,) = runs_of(folder, "[mine.py:Decay]")
    write_method(folder, METHOD.replace("0.01", "0.02"))
    (edited,) = runs_of(folder, "[mine.py:Decay]")
    assert edited.id != before.id
    assert edited.configuration != before.configuration
    assert edited.labels() == before.labels()
    write_method(folder)
    write_method(folder, name="copy.py")
    assert [run.id for run in runs_of(folder, "[copy.py:Decay]")] == [before.id]
    # As golden as the ids of the package's own methods.
    content = sha256((folder / "mine.py").read_bytes()).hexdigest()
    assert before.canonical()["constraints"] == [{"entry": "Decay", "sha256": content}]


def test_run_json_says_where_everything_is_from(folder: Path) -> None:
    own, clipped = (run.definition(1) for run in runs_of(folder, "[mine.py:Decay, weight_clipping]"))
    assert own["outside"]["Decay"]["file"] == str((folder / "mine.py").resolve())
    assert len(own["outside"]["Decay"]["sha256"]) == 64
    assert clipped["outside"] == {}
    assert own["sources"]["constraint"] == {"Decay": "Doe 2031, arXiv:3101.00001"}
    assert "arXiv:1701.07875" in clipped["sources"]["constraint"]["weight_clipping"]
    assert {axis: list(names) for axis, names in clipped["sources"].items()} == {
        "dataset": ["eight_gaussians"],
        "model": ["mlp"],
        "constraint": ["weight_clipping"],
        "loss": ["hinge"],
        "setting": ["C"],
    }


def test_an_entry_point_s_id_says_what_it_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a method of the package that bears the name later never finds the results of this one.
    write_method(folder, name="decay_package.py")
    install(folder, "decay", "weight_decay = decay_package:Decay")
    monkeypatch.syspath_prepend(folder)
    found = ExtensionPoint("constraint", "constraints", "lipschitz.constraints", Constraint)
    monkeypatch.setitem(CONSTRAINTS.catalogue, "weight_decay", found["weight_decay"])
    (run,) = runs_of(folder, "[{weight_decay: {weight: 1.0}}]")
    assert run.labels()["constraint"] == "weight_decay(weight=1.0)"
    assert run.canonical()["constraints"] == [
        {"entry": {"weight_decay": {"weight": 1.0}}, "entry_point": "decay_package:Decay"}
    ]
    assert run.definition(1)["outside"] == {
        "weight_decay": {"entry_point": "decay_package:Decay", "distribution": "decay 1.0"}
    }


WRONG = {
    "a missing file": ("gone.py:Decay", ["gone.py: cannot be read"]),
    "a missing class": ("mine.py:Decya", ["'Decya' is not there; did you mean 'Decay'?"]),
    "a missing field": ("{mine.py:Decay: {wieght: 1.0}}", ["Decay.wieght: unknown key 'wieght'; did you mean 'weight'?"]),
    "a wrong field": ("{mine.py:Decay: {weight: -1.0}}", ["Decay.weight", "greater than or equal to 0"]),
    "a file that raises": ("broken.py:Decay", ["broken.py:2: cannot be executed: ZeroDivisionError: division by zero"]),
    "the class not named": ("mine.py", ["name the class, too; found: mine.py:Decay"]),
    "namesakes": ("mine.py:Decay, other.py:Decay", ["two different classes are called Decay; rename one"]),
    "namesakes in one run": ("[mine.py:Decay, {other.py:Decay: {weight: 1.0}}]", ["two different classes are called Decay"]),
    "the same twice": ("mine.py:Decay, ./mine.py:Decay", ["Decay is listed twice"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_mistake_is_one_line_that_says_where(folder: Path, case: str) -> None:
    entry, said = WRONG[case]
    (folder / "broken.py").write_text("\n1 / 0\n")
    write_method(folder, METHOD.replace("0.01", "0.02"), "other.py")
    with pytest.raises(InputError) as caught:
        runs_of(folder, f"[{entry}]")
    message = str(caught.value)
    assert message.startswith(f"{folder / 'small.yaml'}:5: constraints")
    assert "\n" not in message
    for words in said:
        assert words in message


def test_the_schema_takes_a_file_wherever_it_takes_a_name() -> None:
    schema = json_schema()
    assert {"$ref": "#/$defs/constraint"} in schema["properties"]["constraints"]["items"]["anyOf"]
    name, in_file, with_fields = schema["$defs"]["constraint"]["anyOf"]
    assert "weight_clipping" in name["enum"]
    assert re.search(in_file["pattern"], "methods/mine.py:Decay")
    assert not re.search(in_file["pattern"], "methods/mine.py")
    assert list(with_fields["patternProperties"]) == [in_file["pattern"]]
    json.dumps(json_schema())


def test_a_relative_path_starts_from_the_sweep_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert runs_of(folder, "[mine.py:Decay]")[0].labels()["constraint"] == "Decay"


def test_the_schema_writes_the_default_optimiser_as_a_sweep_file_does() -> None:
    (fields,) = [one for one in json_schema()["properties"]["settings"]["items"]["anyOf"] if "properties" in one]
    assert fields["properties"]["optimiser"]["default"] == Setting().optimiser.entry()
