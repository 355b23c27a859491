"""Finding and downloading the Inception weights, and one-line errors."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from lipschitz.errors import InputError
from lipschitz.features.inception_weights import NAME, SHA256, URL, download_weights, weights_file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lipschitz" / "inception"


@pytest.fixture
def downloads(monkeypatch):
    """Replace the download, and return the list of requests."""
    made = []

    def download(url, path, hash_prefix):
        made.append((url, hash_prefix))
        Path(path).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return made


def test_a_given_file_comes_first(tmp_path, cache):
    path = tmp_path / "mine.pth"
    path.touch()
    assert weights_file(path) == path


def test_without_a_given_file_the_cache_is_used_and_nothing_is_downloaded(cache, downloads):
    with pytest.raises(InputError, match=rf"no weights .* at {cache / NAME}; get it by 'lipschitz data inception'"):
        weights_file(None)
    assert not downloads
    (cache / NAME).write_bytes(b"")
    assert weights_file(None) == cache / NAME


def test_a_given_file_that_does_not_exist_is_named(tmp_path, cache):
    with pytest.raises(InputError, match=rf"--inception-weights: no file {tmp_path / 'missing'}; get it by"):
        weights_file(tmp_path / "missing")


def test_the_weights_are_downloaded_once_and_checked_by_the_hash_in_the_name(cache, downloads):
    assert NAME.endswith(f"-{SHA256}.pth")
    for _ in range(2):
        assert download_weights() == cache / NAME
    assert downloads == [(URL, SHA256)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (URLError("no route"), r"cannot download https://.*no route.*; download it elsewhere and give"),
        (RuntimeError("invalid hash value"), r"is not the published file: invalid hash value"),
        (OSError(28, "No space left on device"), r"cannot write .*: No space left on device; set XDG_CACHE_HOME"),
    ],
)
def test_a_failed_download_is_one_line(cache, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError, match=message) as caught:
        download_weights()
    assert "\n" not in str(caught.value)
    assert not (cache / NAME).exists()
