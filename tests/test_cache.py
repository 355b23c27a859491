from pathlib import Path

import pytest

from lipschitz.cache import cache_folder
from lipschitz.errors import InputError


def test_it_lies_where_xdg_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder("datasets", "raw")
    assert folder == tmp_path / "lipschitz" / "datasets" / "raw"
    assert folder.is_dir()


def test_it_lies_in_the_home_folder_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == Path(tmp_path, ".cache", "lipschitz")


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot make the cache folder .*XDG_CACHE_HOME"):
        cache_folder()
