import sys
from abc import ABC, abstractmethod

import pytest

from lipschitz.config import Config
from lipschitz.extensions.discovery import discover
from lipschitz.extensions.point import by_name


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


def test_classes_come_in_the_order_of_modules_then_of_the_code(package):
    write(package, "second", "Whatever")
    write(package, "first", "Something", "Another")
    found = discover("methods", Base)
    assert [f"{cls.__module__}.{cls.__name__}" for cls in found] == [
        "methods.first.Something",
        "methods.first.Another",
        "methods.second.Whatever",
    ]


def test_what_a_module_only_imports_or_leaves_abstract_or_private_is_passed_over(package):
    write(package, "one", "One")
    (package / "shared.py").write_text("from methods.one import One\n")
    (package / "abstract.py").write_text(f"from {__name__} import Base\n\nclass Half(Base):\n    pass\n")
    write(package, "private", "_Hidden")
    write(package, "helper")
    assert [cls.__name__ for cls in discover("methods", Base)] == ["One"]


def test_two_classes_of_one_name_are_refused(package):
    for module in ("first", "second"):
        (package / f"{module}.py").write_text(
            f"from lipschitz.config import Config\n\nclass {module.title()}(Config):\n    named = 'same'\n"
        )
    kinds = discover("methods", Config)
    with pytest.raises(TypeError, match=r"methods.first.First and Second are both called same"):
        by_name(kinds)
