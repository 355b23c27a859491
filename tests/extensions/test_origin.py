"""Methods from outside: what is loaded, what it is called, how it reaches another process, and what is refused."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from own_method import METHOD, install, write_method

from lipschitz.config import Config
from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.datasets.base import Dataset
from lipschitz.errors import InputError
from lipschitz.extensions.origin import EntryPointOrigin, FileOrigin, load_from, origin_of
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.tasks.base import TaskKind


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what was imported from it is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def offered() -> tuple[dict[str, type[Constraint]], dict[str, str]]:
    """What installed packages offer now, by name, and why other entry points are refused."""
    point = ExtensionPoint("constraint", "constraints", "lipschitz.constraints", Constraint)
    return {name: kind for name, kind in point.items() if name not in point.own}, point.refused


def test_a_class_in_a_file_is_called_by_its_own_name(tmp_path: Path) -> None:
    path = write_method(tmp_path)
    kind = CONSTRAINTS.called("mine.py:Decay", tmp_path)
    assert issubclass(kind, Constraint)
    assert kind(weight=2.0).label() == "Decay(weight=2.0)"
    assert kind.summary() == "Add λ Σ ‖W‖² to the loss."
    assert kind is CONSTRAINTS.called(f"{path}:Decay")
    origin = origin_of(kind)
    assert origin is not None
    assert origin.facts() == {"file": str(path.resolve()), "sha256": sha256(path.read_bytes()).hexdigest()}


def test_loading_a_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = write_method(tmp_path)
    CONSTRAINTS.called("mine.py:Decay", tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_edited_file_is_another_method_and_a_moved_one_the_same(tmp_path: Path) -> None:
    first = CONSTRAINTS.called("mine.py:Decay", write_method(tmp_path).parent)
    write_method(tmp_path, METHOD.replace("0.01", "0.02"))
    second = CONSTRAINTS.called("mine.py:Decay", tmp_path)
    moved = CONSTRAINTS.called("elsewhere/mine.py:Decay", write_method(tmp_path / "elsewhere").parents[1])
    assert (first().weight, second().weight) == (0.01, 0.02)  # type: ignore[attr-defined]
    identities = [origin.identity() for kind in (first, second, moved) if (origin := origin_of(kind))]
    assert identities[0] != identities[1]
    assert identities[0] == identities[2]


def test_a_record_reaches_another_process_as_what_was_read(tmp_path: Path) -> None:
    path = write_method(tmp_path)
    record = CONSTRAINTS.called("mine.py:Decay", tmp_path)(weight=0.1)
    assert pickle.loads(pickle.dumps(record)) == record
    (tmp_path / "record").write_bytes(pickle.dumps(record))
    path.write_text("raise SystemExit('edited meanwhile')")
    code = "import pickle; record = pickle.load(open('record', 'rb')); print(record.label(), record.summary())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Decay(weight=0.1) Add λ Σ ‖W‖² to the loss.\n", done.stderr


WRONG = {
    "no file": ("gone.py:Decay", METHOD, "gone.py: cannot be read: No such file or directory"),
    "a folder": ("../:Decay", METHOD, "unknown constraint '../:Decay'"),
    "no class": ("mine.py:Decya", METHOD, "'Decya' is not there; did you mean 'Decay'? allowed: Decay"),
    "the class not named": ("mine.py", METHOD, "name the class, too; found: mine.py:Decay"),
    "a class that is imported": ("mine.py:Another", METHOD, "'Another' is not a public subclass of Constraint defined here"),
    "no Constraint": ("mine.py:Decay", "class Decay: ...", "'Decay' is not a public subclass of Constraint defined here; the file defines no"),
    "an exception": ("mine.py:Decay", "\n\nraise ValueError('two\\nlines')", "mine.py:3: cannot be executed: ValueError: two lines"),
    "a syntax error": ("mine.py:Decay", "\nclass Decay", "mine.py:2: cannot be executed: SyntaxError: expected ':'"),
    "an exit": ("mine.py:Decay", "raise SystemExit(3)", "mine.py:1: cannot be executed: SystemExit: 3"),
    "no promise": ("mine.py:Decay", METHOD.replace("promise:", "promises:"), "Decay does not say its promise; allowed: certified, heuristic, none"),
    "an unknown promise": ("mine.py:Decay", METHOD.replace('= "heuristic"', '= "heuristik"'), "Decay: promise 'heuristik' is unknown; did you mean 'heuristic'? allowed: certified, heuristic, none"),
    "a method's name": ("mine.py:none", METHOD.replace("class Decay", "class none"), "'none' could be mistaken for none"),
    "a method's class": ("mine.py:WeightClipping", METHOD.replace("class Decay", "class WeightClipping"), "'WeightClipping' could be mistaken for weight_clipping; give the class another name"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, case: str) -> None:
    name, text, said = WRONG[case]
    write_method(tmp_path, text)
    with pytest.raises(InputError) as caught:
        CONSTRAINTS.called(name, tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_entry_point_is_called_by_its_name(site: Path) -> None:
    write_method(site, name="decays.py")
    install(site, "decay-package", "weight_decay = decays:Decay")
    found, refused = offered()
    assert (list(found), refused) == (["weight_decay"], {})
    kind = found["weight_decay"]
    assert kind().label() == "weight_decay"
    origin = origin_of(kind)
    assert origin is not None
    assert origin.facts() == {"entry_point": "decays:Decay", "distribution": "decay-package 1.0"}
    assert pickle.loads(pickle.dumps(kind(weight=0.5))) == kind(weight=0.5)
    assert sys.modules["decays"].Decay.name() == "decays", "what another package defines is left as it is"


def test_entry_points_that_cannot_be_used_are_named_and_the_others_work(site: Path) -> None:
    write_method(site, name="decays.py")
    write_method(site, "import nowhere", name="broken.py")
    install(
        site,
        "first",
        "good = decays:Decay",
        "cannot_import = broken:Decay",
        "no_class = decays:Absent",
        "no_constraint = decays:torch",
        "weight_clipping = decays:Decay",
        "twice = decays:Decay",
    )
    install(site, "second", "twice = decays:Decay", version="2.0")
    found, refused = offered()
    assert list(found) == ["good"]
    assert refused == {
        "cannot_import": "broken:Decay, offered by first 1.0, cannot be imported: "
        "ModuleNotFoundError: No module named 'nowhere'",
        "no_class": "decays:Absent, offered by first 1.0, cannot be imported: "
        "AttributeError: module 'decays' has no attribute 'Absent'",
        "no_constraint": "decays:torch, offered by first 1.0, is not a subclass of Constraint",
        "twice": "several packages offer it: first 1.0, second 2.0",
        "weight_clipping": "decays:Decay, offered by first 1.0, has the name of a constraint of lipschitz itself",
    }


def test_a_class_that_lacks_methods_is_refused_with_their_names(site: Path) -> None:
    text = "from lipschitz.datasets.base import Dataset\n\n\nclass Half(Dataset):\n    kind = 'points'\n"
    path = write_method(site, text, name="halves.py")
    origins = {
        f"{path}: Half lacks load(), shape": FileOrigin(Dataset, path, "Half", text.encode()),
        "halves:Half, offered by first 1.0, lacks load(), shape": EntryPointOrigin(
            Dataset, "lipschitz.datasets", "half", "halves:Half", "first 1.0"
        ),
    }
    for said, origin in origins.items():
        with pytest.raises(InputError) as caught:
            load_from(origin)
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("base", "declared", "said"),
    [
        (Dataset, "pass", "expected kind to be one of points, images, pairs, got None"),
        (Dataset, "kind = 'point'", "expected kind to be one of points, images, pairs, got 'point'"),
        (TaskKind, "pass", "expected has_generator to be True or False, got None"),
    ],
)
def test_a_class_must_declare_what_its_base_class_asks_for(
    tmp_path: Path, base: type[Config], declared: str, said: str
) -> None:
    methods = "".join(f"    def {name}(self): ...\n" for name in base.__abstractmethods__)  # type: ignore[attr-defined]
    text = f"from {base.__module__} import {base.__name__}\nclass Mine({base.__name__}):\n    {declared}\n{methods}"
    with pytest.raises(InputError) as caught:
        load_from(FileOrigin(base, tmp_path / "mine.py", "Mine", text.encode()))
    assert str(caught.value) == f"Mine: {said}"


def test_a_sweep_that_names_a_refused_method_gets_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONSTRAINTS.refused, "broken", "it cannot be imported")
    with pytest.raises(InputError, match="constraint 'broken' is refused: it cannot be imported"):
        CONSTRAINTS.called("broken")


def test_an_origin_does_not_print_a_file(tmp_path: Path) -> None:
    origin: Any = FileOrigin(Constraint, tmp_path / "mine.py", "Decay", b"content")
    assert "content" not in repr(origin)
