"""Zip and tar archives are unpacked completely or not at all."""

import io
import shutil
import stat
import tarfile
import zipfile

import pytest

from lipschitz.datasets.download import unpack
from lipschitz.errors import InputError

FILES = {"folder/one": b"1" * 5000, "folder/deep/two": b"2"}


def packed(path, files=FILES):
    path.parent.mkdir(exist_ok=True)
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


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("member", ["../out", "folder/../../out", "/out"])
def test_a_member_outside_of_the_folder_is_refused(tmp_path, name, member):
    archive = packed(tmp_path / "in" / name, {"folder/one": b"1", member: b"out"})
    with pytest.raises(InputError, match=r"cannot unpack .* is not a file or folder below the archive's own"):
        unpack(archive)
    assert contents(tmp_path).keys() == {f"in/{name}"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_links_or_devices_is_refused(tmp_path, kind):
    archive = tmp_path / "in.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("x\x1b")
        member.type, member.linkname = kind, "y"
        tar.addfile(member)
    with pytest.raises(InputError, match=r"cannot unpack .*: x\\x1b is not a file or folder below"):
        unpack(archive)
    assert contents(tmp_path).keys() == {"in.tar.gz"}


def test_a_zip_with_a_link_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match=r"cannot unpack .*: x is not a file or folder below"):
        unpack(tmp_path / "in.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_bomb_is_refused_before_the_disk_is_full(tmp_path, monkeypatch, name):
    archive = packed(tmp_path / name, {"folder/zeros": bytes(200_000), "one": b"1"})
    assert archive.stat().st_size < 210_000
    usage = shutil.disk_usage(tmp_path)
    for free in (100_000, 200_000):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: usage._replace(free=free))
        with pytest.raises(InputError, match=r"cannot unpack .* bytes does not fit on the disk"):
            unpack(archive)
        assert contents(tmp_path).keys() == {name}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=200_001))
    unpack(archive)
    assert contents(tmp_path).keys() == {name, "folder/zeros", "one"}
