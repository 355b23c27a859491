"""Files that run code, exhaust memory or hang what reads them: pickles, npz files, archives, pictures."""

import io
import os
import pickle
import shutil
import signal
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fault_injection.fault import Fault
from fault_injection.sweep_files import BOTH, REFUSED, judged
from fault_injection.trial import Done, Trial
from lipschitz.datasets.download import unpack
from lipschitz.errors import InputError

PICTURES = """\
name: points
task: generation
datasets: [{folder: {folder: pictures, size: 8, num_classes: 2}}]
models: [{dcgan: {width: 1}}]
constraints: [none]
training: {steps: 10, batch_size: 2}
"""


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._path}'",)


def hostile_pickle(trial: Trial) -> None:
    """Put a pickle that runs code in the place of a checkpoint, of the samples, or of any file of a run."""
    trial.begin("half")
    ran = trial.place / "ran"
    payload = Payload(ran)
    path = trial.rng.choice([path for path in sorted(trial.folder.glob("runs/*/*")) if path.name != "lock"])
    ways: list[Callable[[], object]] = [
        lambda: path.write_bytes(pickle.dumps(payload)),
        lambda: torch.save({"format": 2, "step": payload}, path),
        lambda: torch.save(payload, path, _use_new_zipfile_serialization=False),
        lambda: np.savez(path.open("wb"), samples=np.array([payload], dtype=object)),
    ]
    trial.rng.choice(ways)()
    trial.settle(lambda: shutil.rmtree(path.parent))
    if ran.exists():
        trial.how("RAN CODE")


def hostile_npz(trial: Trial) -> None:
    """Put a hostile file in the place of the data set's."""
    trial.begin("half")
    ran, path = trial.place / "ran", trial.place / "data.npz"
    kept = path.read_bytes()
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s, 8, 8), }"
    ways: list[Callable[[], object]] = [
        lambda: np.savez(path, images=np.array([Payload(ran)], dtype=object), labels=np.zeros(1, int)),
        lambda: _npz(path, _array(header % 10**12)),
        lambda: _npz(path, _array(header % -5)),
        lambda: _npz(path, _array(header % ("9" * 5000))),
        lambda: _npz(path, _array("{'descr': __import__('os').system('touch ran')}")),
        lambda: _npz(path, _array("[" * 3000)),
        lambda: _npz(path, _array(header % 2**22, bytes(2**28))),
        lambda: path.write_bytes(pickle.dumps(Payload(ran))),
        lambda: np.savez(path, images=np.zeros((8, 8, 8, 8, 8), np.uint8), labels=np.zeros(8, int)),
        lambda: np.savez(path, images=np.zeros((40, 8, 8), np.uint8), labels=np.full(40, -(2**62))),
        lambda: np.savez(path, images=np.zeros((0, 8, 8), np.uint8), labels=np.zeros(0, int)),
    ]
    trial.rng.choice(ways)()
    trial.settle(lambda: path.write_bytes(kept))
    if ran.exists():
        trial.how("RAN CODE")


def _array(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + content


def _npz(path: Path, images: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", images)
        archive.writestr("labels.npy", images)


def hostile_archive(trial: Trial) -> None:
    """Unpack an archive with members outside of its folder, links, devices, or more bytes than it says."""
    inside, outside = trial.place / "in", trial.place / "out"
    inside.mkdir(parents=True)
    outside.mkdir()
    path = inside / trial.rng.choice(("a.zip", "a.tar.gz"))
    members = ("../out/x", f"{outside}/x", "a/../../out/x", "x/" * 200 + "x", "ok")
    name = trial.rng.choice(members)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x" * 100)
    else:
        kind = trial.rng.choice((tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE))
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("link" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else name)
            member.type, member.linkname = kind, name
            member.size = 100 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"x" * 100))
    content = bytearray(path.read_bytes())
    if trial.rng.random() < 0.3:
        content[trial.rng.randrange(len(content))] ^= 1 << trial.rng.randrange(8)
        path.write_bytes(content)
    try:
        unpack(path)
        trial.how("accepted")
    except InputError as error:
        judged(trial, Done(2, "", f"error: {error}\n"))
        trial.heard(Done(2, "", f"error: {error}\n"))
    if list(outside.iterdir()) or any(
        file.is_symlink() or not (file.is_file() or file.is_dir()) for file in inside.rglob("*")
    ):
        trial.how("LEFT THE FOLDER")


def hostile_pictures(trial: Trial) -> None:
    """Put a hostile file among the pictures of a folder."""
    trial.place.mkdir(parents=True)
    folder = trial.place / "pictures" / "a"
    shutil.copytree(_pictures(trial.place / "pictures" / "b"), folder)
    bad = folder / "bad.png"
    ways: list[Callable[[], object]] = [
        lambda: bad.write_bytes(_png(60_000, 60_000)),
        lambda: bad.write_bytes(_png(2**31 - 1, 2**31 - 1)),
        lambda: bad.write_bytes(_png(12_000, 12_000)),
        lambda: bad.write_bytes((folder / "00.png").read_bytes()[:60]),
        lambda: bad.write_bytes(b""),
        lambda: os.mkfifo(bad),
        lambda: bad.symlink_to(bad),
        lambda: bad.symlink_to("/dev/zero"),
        lambda: (folder / "loop").symlink_to(folder),
        lambda: (folder / os.fsdecode(b"\xff\xfe.png")).write_bytes((folder / "00.png").read_bytes()),
        lambda: (folder / "\x1b[31m.png").write_bytes(b"no picture"),
        bad.mkdir,
    ]
    trial.rng.choice(ways)()
    (trial.place / "points.yaml").write_text(PICTURES)
    signal.alarm(30)
    done = trial.call("sweep", "points.yaml", "--dry-run", "--data-root", ".")
    judged(trial, done)


def _pictures(folder: Path) -> Path:
    """Write ten pictures of noise."""
    folder.mkdir(parents=True)
    for index in range(10):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


def _png(width: int, height: int) -> bytes:
    """Return a small PNG file that says that it is as large as that."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


MENDED = ("equal", "named", "refused", "failed alone")
FAULTS = [
    Fault("inputs", "pickles that run code", MENDED, hostile_pickle),
    Fault("inputs", "npz files: headers, pickles, bombs", REFUSED, hostile_npz, sweep="images"),
    Fault("inputs", "archives: members outside, links, devices", BOTH, hostile_archive),
    Fault("inputs", "pictures: bombs, pipes, loops", BOTH, hostile_pictures),
]
