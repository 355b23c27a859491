"""The cache folder and its files: computed once, found again, replaced if broken."""

import hashlib
import json
from pathlib import Path

import pytest

from lipschitz.cache import Cache, cache_folder, json_cache
from lipschitz.errors import InputError

FACTS = {"b": [1, "x"], "a": None}
NUMBERS = Cache(
    "a number", "txt", lambda path: int(path.read_text()), lambda file, value: file.write(str(value).encode())
)


def test_the_cache_folder_is_below_xdg_cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder("datasets", "raw")
    assert folder == tmp_path / "lipschitz" / "datasets" / "raw"
    assert folder.is_dir()


def test_the_default_cache_folder_is_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == Path(tmp_path, ".cache", "lipschitz")


def test_a_folder_that_cannot_be_created_is_an_input_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot create the cache folder .*XDG_CACHE_HOME"):
        cache_folder()


def test_a_value_is_computed_once_for_each_set_of_facts(tmp_path):
    computed = []

    def compute():
        computed.append(len(computed))
        return 7 + len(computed)

    assert [NUMBERS.get(tmp_path, facts, compute) for facts in (FACTS, FACTS, {**FACTS, "c": 0}, FACTS)] == [8, 8, 9, 8]
    assert len(computed) == 2


@pytest.mark.parametrize(("cache", "digits", "suffix"), [(NUMBERS, 16, "txt"), (json_cache("a number"), 64, "json")])
def test_file_names_are_those_of_earlier_versions(tmp_path, cache, digits, suffix):
    cache.get(tmp_path, FACTS, lambda: 7)
    name = hashlib.sha256(b'{"a": null, "b": [1, "x"]}').hexdigest()[:digits]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{suffix}", f"{name}.lock"}


def test_json_files_of_earlier_versions_are_read(tmp_path):
    name = hashlib.sha256(json.dumps(["a", "b"]).encode()).hexdigest()
    (tmp_path / f"{name}.json").write_text('{\n  "found": [1, 2]\n}\n')
    assert json_cache("numbers").get(tmp_path, ["a", "b"], lambda: pytest.fail("computed")) == [1, 2]


@pytest.mark.parametrize("content", ["", "torn", "[]", '{"other": 1}'])
def test_a_broken_file_is_named_in_a_warning_and_replaced(tmp_path, caplog, content):
    cache = json_cache("a number")
    cache.get(tmp_path, FACTS, lambda: 7)
    (path,) = tmp_path.glob("*.json")
    path.write_text(content)
    assert [cache.get(tmp_path, FACTS, lambda: 8) for _ in range(2)] == [8, 8]
    (message,) = caplog.messages
    assert message.startswith(f"computing a number again: cannot read {path} (")


def test_a_failed_computation_writes_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        NUMBERS.get(tmp_path, FACTS, lambda: 1 // 0)
    assert not list(tmp_path.glob("*.txt"))
    assert NUMBERS.get(tmp_path, FACTS, lambda: 7) == 7


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*; set XDG_CACHE_HOME to another folder"):
        NUMBERS.get(tmp_path / "missing", FACTS, lambda: 7)
