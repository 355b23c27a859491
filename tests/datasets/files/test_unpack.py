"""Zip and tar archives are unpacked completely or not at all."""

import io
import tarfile
import zipfile

import pytest

from lipschitz.datasets.download import unpack
from lipschitz.errors import InputError

FILES = {"folder/one": b"1" * 5000, "folder/deep/two": b"2"}


def packed(path, files=FILES):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_files_of_the_archive_are_replaced_and_other_files_are_kept(tmp_path, name):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "one").write_bytes(b"torn")
    (tmp_path / "folder" / "deep" / "mine").write_bytes(b"kept")
    archive = packed(tmp_path / name)
    unpack(archive)
    assert contents(tmp_path) == {**FILES, "folder/deep/mine": b"kept", name: archive.read_bytes()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_truncated_archive_leaves_no_files(tmp_path, name):
    archive = packed(tmp_path / name)
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(InputError, match=f"cannot unpack {archive}: "):
        unpack(archive)
    assert list(contents(tmp_path)) == [name]


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python's tarfile refuses no member")
def test_a_member_outside_of_the_folder_is_refused(tmp_path):
    archive = packed(tmp_path / "in.tar.gz", {"../out": b"out"})
    with pytest.raises(InputError, match="cannot unpack"):
        unpack(archive)
    assert list(contents(tmp_path)) == ["in.tar.gz"]
