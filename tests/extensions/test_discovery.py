import sys
from abc import ABC, abstractmethod

import pytest

from lipschitz.extensions.discovery import discover


class Base(ABC):
    @abstractmethod
    def work(self): ...


MODULE = "from {here} import Base\n\nclass {name}(Base):\n    def work(self): ...\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, into which a test writes modules."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "__init__.py").touch()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "methods"]:
        del sys.modules[name]


def write(folder, module, *names):
    text = "".join(MODULE.format(here=__name__, name=name) for name in names)
    (folder / f"{module}.py").write_text(text or f"from {__name__} import Base\n")


def test_a_class_is_called_after_its_file(package):
    write(package, "second", "Whatever")
    write(package, "first", "Something")
    found = discover("methods", Base)
    assert list(found) == ["first", "second"]
    assert [cls.__name__ for cls in found.values()] == ["Something", "Whatever"]


def test_what_a_module_only_imports_or_leaves_abstract_or_private_is_passed_over(package):
    write(package, "one", "One")
    (package / "shared.py").write_text("from methods.one import One\n")
    (package / "abstract.py").write_text(f"from {__name__} import Base\n\nclass Half(Base):\n    pass\n")
    write(package, "private", "_Hidden")
    write(package, "helper")
    assert list(discover("methods", Base)) == ["one"]


def test_two_classes_in_a_file_are_refused(package):
    write(package, "pair", "Left", "Right")
    with pytest.raises(TypeError, match=r"methods.pair defines Left, Right; allowed: one public Base per module"):
        discover("methods", Base)
