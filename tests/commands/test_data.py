"""`lipschitz data`: from a server on this machine, into a folder that can then be loaded."""

import gzip
import io
import tarfile
import zipfile

import pytest
import torch
from command_line import lipschitz
from file_server import serving
from mnist_files import contents, expect, idx
from published_files import expect_cifar, torchvision_class, write_celeba, write_cifar
from rich.console import Console

from lipschitz.commands import data as fetching
from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.download import md5_of
from lipschitz.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def cifar(tmp_path, monkeypatch, server):
    """CIFAR-10 as published, on the server."""
    write_cifar(tmp_path / "made", "cifar10")
    expect_cifar(monkeypatch, tmp_path / "made", "cifar10")
    archive, cls = tmp_path / "made" / "archive", torchvision_class("cifar10")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "made" / cls.base_folder, cls.base_folder)
    server.files["cifar"] = archive.read_bytes()
    monkeypatch.setattr(cls, "tgz_md5", md5_of(archive))
    monkeypatch.setattr(cls, "url", server.url("cifar"))


def fetch(name, root):
    return fetching.fetch(name, root, lambda file: lambda done, total: None)


def test_what_is_fetched_can_be_loaded_and_is_fetched_once(tmp_path, cifar, server):
    root = tmp_path / "root"
    assert fetch("cifar10", root) == f"cifar10 is in {root} now"
    assert DATASETS["cifar10"]().load(root, CPU).sizes == {"train": 30, "held_out": 6}
    assert fetch("cifar10", root) == f"cifar10 is in {root}"
    assert len(server.asked) == 1


def test_a_broken_file_is_unpacked_again_from_the_archive(tmp_path, cifar, server):
    root = tmp_path / "root"
    fetch("cifar10", root)
    broken = root / torchvision_class("cifar10").base_folder / "test_batch"
    broken.write_bytes(b"torn")
    fetch("cifar10", root)
    assert DATASETS["cifar10"]().load(root, CPU).sizes["held_out"] == 6
    assert len(server.asked) == 1


def test_a_wrong_archive_is_refused_and_nothing_is_kept(tmp_path, cifar, server):
    server.files["cifar"] += b"more"
    with pytest.raises(InputError, match=r"expected MD5 \w{32}, got \w{32}"):
        fetch("cifar10", tmp_path / "root")
    assert not list((tmp_path / "root").iterdir())


def test_mnist_is_kept_as_published(tmp_path, monkeypatch, server):
    files = contents()
    expect(monkeypatch, "MNIST", files)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server.files |= {f"{file}.gz": gzip.compress(idx(array), mtime=0) for file, array in files.items()}
    monkeypatch.setattr(torchvision_class("mnist"), "mirrors", [server.url("nowhere/"), server.url("")])
    fetch("mnist", tmp_path)
    assert {path.name for path in (tmp_path / "MNIST" / "raw").iterdir()} == set(server.files)
    assert DATASETS["mnist"]().load(tmp_path, CPU).sizes["held_out"] == 5


def test_what_no_script_may_fetch_is_unpacked_when_it_was_put_there(tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"no celeba/img_align_celeba, celeba/list_attr.* Google Drive .*the data root"
    ):
        fetch("celeba", tmp_path)
    assert not list(tmp_path.iterdir())
    files, folder, packed = write_celeba(tmp_path, monkeypatch), tmp_path / "celeba", io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"img_align_celeba/{name}", content)
            (folder / "img_align_celeba" / name).unlink()
    (folder / "img_align_celeba").rmdir()
    path = folder / "img_align_celeba.zip"
    path.write_bytes(packed.getvalue())
    with pytest.raises(InputError, match=r"img_align_celeba\.zip is truncated or corrupt: expected MD5 00d2c5bc6d35e2"):
        fetch("celeba", tmp_path)
    listed = [(key, md5_of(folder / name), name) for key, _, name in torchvision_class("celeba").file_list]
    monkeypatch.setattr(torchvision_class("celeba"), "file_list", listed)
    fetch("celeba", tmp_path)
    assert DATASETS["celeba"]().load(tmp_path, CPU).sizes == {"train": 3, "held_out": 2}


def test_lsun_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"no bedroom_train_lmdb/data\.mdb; no checksums.*github\.com/fyu/lsun"):
        fetch("lsun", tmp_path)


def test_what_is_not_published_is_refused(tmp_path):
    allowed = "celeba, cifar10, cifar100, fashion_mnist, lsun, mnist, stl10, svhn, inception"
    for name, why in {
        "eight_gaussians": "is generated, nothing to download",
        "npz": "is read from your own files, nothing to download",
        "folder": "is read from your own files, nothing to download",
        "digits": "has no files that this command downloads",
    }.items():
        with pytest.raises(InputError, match=f"^{name} {why}; allowed: {allowed}$"):
            fetch(name, tmp_path)
    with pytest.raises(InputError, match=r"unknown data set 'cifr10'; did you mean 'cifar10'\?"):
        fetch("cifr10", tmp_path)


def test_the_list_says_what_is_there(tmp_path):
    write_cifar(tmp_path, "cifar100")
    rows = {name: rest for name, *rest in fetching.listed(tmp_path)}
    assert {name for name, (there, *_) in rows.items() if there == "yes"} == {"cifar100"}
    assert {"mnist", "fashion_mnist", "cifar10", "svhn", "stl10", "celeba", "lsun"} < set(rows)
    assert {name for name, (_, how, _) in rows.items() if how == "by hand"} == {"celeba", "lsun"}
    console = Console(record=True, width=150)
    fetching.show_data(tmp_path, console)
    assert "lipschitz data svhn" in console.export_text()


def test_the_weights_are_fetched_into_the_cache(tmp_path, monkeypatch):
    file = tmp_path / "weights.pth"
    monkeypatch.setattr(fetching, "cached_weights", lambda: file)
    monkeypatch.setattr(fetching, "download_weights", lambda: file.write_bytes(b"weights") and file)
    assert [row[1] for row in fetching.listed(tmp_path) if row[0] == "inception"] == ["no"]
    assert fetch("inception", tmp_path) == f"inception is in {file}"
    assert [row[1:3] for row in fetching.listed(tmp_path) if row[0] == "inception"] == [
        ("yes", "lipschitz data inception")
    ]


@pytest.mark.parametrize(("name", "code"), [("cifr10", 2), (None, 0)])
def test_the_command(tmp_path, name, code):
    arguments = [*([name] if name else []), "--data-root", str(tmp_path)]
    done = lipschitz("data", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert ("did you mean 'cifar10'?" in done.stderr) if name else ("lipschitz data cifar10" in done.stdout)
    assert not list(tmp_path.iterdir())
