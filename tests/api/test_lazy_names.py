"""``import lipschitz`` is cheap, and its names are those that type checkers see."""

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lipschitz as lip
from lipschitz.api.sweep import sweep

STUB = Path(lip.__file__).with_name("__init__.pyi")


def test_importing_the_package_or_naming_its_sweep_imports_nothing_large() -> None:
    code = (
        "import json, sys, lipschitz as lip\n"
        "large = {'torch', 'pandas', 'numpy', 'pydantic', 'matplotlib'}\n"
        "found = [sorted(large & set(sys.modules)), callable(lip.sweep)]\n"
        "lip.load\n"
        "print(json.dumps([*found, sorted({'torch', 'matplotlib'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], True, []]


@pytest.mark.parametrize("name", lip.API)
def test_a_name_is_what_its_module_defines(name: str) -> None:
    found = getattr(lip, name)
    assert found is getattr(import_module(lip.API[name]), name)
    assert (found.__module__, found.__doc__ is not None) == (lip.API[name], True)
    assert name in dir(lip)


def test_the_stub_has_the_same_names_from_the_same_modules() -> None:
    imported = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)]
    stub = {alias.asname: node.module for node in imported for alias in node.names}
    assert stub == {**lip.API, "sweep": sweep.__module__}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lipschitz' has no attribute 'nonsense'"):
        lip.nonsense  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(lip, "__wrapped__")


def test_the_package_sweep_is_the_function_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import lipschitz.sweep.store

    assert inspect.ismodule(lip.sweep)
    assert lipschitz.sweep.store.SweepFolder
    monkeypatch.setattr("lipschitz.api.sweep.sweep", lambda *given, **options: (given, options))
    assert lip.sweep("file.yaml", quiet=True) == (("file.yaml",), {"quiet": True})
