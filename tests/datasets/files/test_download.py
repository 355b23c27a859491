"""Downloads are resumed, checked against their MD5, and never left half written."""

import hashlib
import socket

import pytest
from file_server import serving

from lipschitz.datasets.download import download
from lipschitz.errors import InputError
from lipschitz.locks import lock

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server():
    with serving() as server:
        server.files["file"] = CONTENT
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "file"


def files_beside(target):
    return {path.name: path.read_bytes() for path in target.parent.iterdir()}


def test_a_complete_download_is_renamed_to_the_file(server, target):
    seen = []
    download([server.url("file")], target, MD5, lambda done, total: seen.append((done, total)))
    assert files_beside(target) == {"file": CONTENT}
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert server.asked == [("file", None)]


def test_an_interrupted_download_is_resumed(server, target):
    server.tear = 1_000_000
    with pytest.raises(
        InputError, match=r"the connection ended after 1,000,000 of 5,120,000 bytes; run the same command"
    ):
        download([server.url("file")], target, MD5)
    assert files_beside(target) == {"file.part": CONTENT[:1_000_000]}
    seen = []
    download([server.url("file")], target, MD5, lambda done, total: seen.append((done, total)))
    assert files_beside(target) == {"file": CONTENT}
    assert server.asked == [("file", None), ("file", "bytes=1000000-")]
    assert seen[0][0] > 1_000_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_without_range_support_an_interrupted_download_starts_again(server, target):
    server.tear = 1_000_000
    with pytest.raises(InputError):
        download([server.url("file")], target, MD5)
    server.gives_parts = False
    download([server.url("file")], target, MD5)
    assert files_beside(target) == {"file": CONTENT}


def test_a_complete_part_file_is_not_downloaded_again(server, target):
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(CONTENT)
    download([server.url("file")], target, MD5)
    assert files_beside(target) == {"file": CONTENT}


@pytest.mark.parametrize("there", [b"", b"another beginning", CONTENT + b"more"])
def test_a_wrong_checksum_names_both_and_removes_the_file(server, target, there):
    server.files["file"] = content = CONTENT[:-1] if not there else CONTENT
    if there:
        target.parent.mkdir()
        target.with_name("file.part").write_bytes(there)
    found = hashlib.md5(there + content[len(there) :], usedforsecurity=False).hexdigest()
    with pytest.raises(InputError, match=f"expected MD5 {MD5}, got {found}") as caught:
        download([server.url("file")], target, MD5)
    assert "\n" not in str(caught.value)
    assert files_beside(target) == {}


def test_a_mirror_is_used_when_the_first_url_fails(server, target):
    download([server.url("elsewhere"), server.url("file")], target, MD5)
    assert files_beside(target) == {"file": CONTENT}
    assert [path for path, _ in server.asked] == ["elsewhere", "file"]


def test_without_a_connection_the_error_says_where_to_save_the_file(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(InputError, match=rf"cannot download {url}: .*save it as {target} \(MD5 {MD5}\)") as caught:
            download([url], target, MD5)
    assert "\n" not in str(caught.value)
    assert files_beside(target) == {}


def test_two_processes_do_not_download_the_same_file(server, target):
    target.parent.mkdir()
    with lock(target.with_name("file.part"), wait=False), pytest.raises(InputError, match="another process"):
        download([server.url("file")], target, MD5)
    assert server.asked == []


def test_a_folder_that_cannot_be_created_is_named(server, target):
    target.parent.write_text("a file")
    with pytest.raises(InputError, match=rf"cannot write {target.parent}: .*--data-root"):
        download([server.url("file")], target, MD5)
