"""Hostile inputs: YAML, pickles, npz files, archives, pictures, numbers and names that break or run what reads them."""

import io
import os
import pickle
import shutil
import signal
import struct
import tarfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fault_injection.fault import Fault
from fault_injection.references import POINTS
from fault_injection.trial import Done, Trial, swept
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
REFUSED = ("refused",)
YAML = (
    b"!!python/object/apply:os.system ['touch ran']",
    b"name: !!python/name:os.system",
    b"name: !!set {a, b}",
    b"name: !!binary gIGC",
    b"name: !!timestamp 2001-12-14",
    b"name: &a [*a]",
    b"&a {name: *a, task: *a}",
    b"name: &a x\ntask: &a y\nseeds: *a",
    b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\n"
    b"d: &d [*c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e]",
    b"name: " + b"[" * 500,
    b"name: " + b"{a: " * 500,
    b"seeds: [" + b"9" * 5000 + b"]",
    b"training: {steps: 1" + b"0" * 4400 + b"}",
    b"name: \x00\x01\x02",
    b"\xff\xfe\x00n\x00a",
    b"\xc3\x28",
    b"name: x\nname: y",
    b"? [a, b]\n: c",
    b"%YAML 9.9\n---\nname: x",
    b"--- x\n--- y\n",
    b"<<: {name: x}",
    b"name: |\n  x\n\ty",
    b"",
    b"- 1",
    b"3",
)  # fmt: skip
NUMBERS = (".nan", ".inf", "-.inf", "0", "-1", "1e300", "1e-300", str(2**64), str(10**30), "1.5", "true", "null", "'3'")
FIELDS = ("width", "depth", "steps", "batch_size", "every", "samples", "gradient_samples", "seeds")
NAMES = (
    "[bold]x[/bold]",
    "[red",
    "\x1b[31mred",
    "a\nb",
    "a\x00b",
    "<script>",
    "x]]>",
    "\u202eabc",
    "a\\b",
    "$(touch ran)",
    "%s{0}",
    "a" * 300,
)


def sweep_file(trial: Trial, content: bytes, *allowed: str) -> None:
    """Plan a sweep file, and run it if it can be planned; where it is refused nothing is written."""
    trial.place.mkdir(parents=True)
    path = trial.place / "points.yaml"
    path.write_bytes(content)
    done = trial.call("sweep", path.name, "--dry-run")
    judged(trial, done)
    if list(trial.place.iterdir()) != [path]:
        trial.how("WROTE OR RAN SOMETHING")


def hostile_yaml(trial: Trial) -> None:
    """Plan a file that is no plain YAML, or that is plain YAML with such a part in it."""
    part = trial.rng.choice(YAML)
    sweep_file(trial, POINTS.encode() + part if part and trial.rng.random() < 0.5 else part)


def mutated_sweep_file(trial: Trial) -> None:
    """Plan a sweep file with a few letters deleted, doubled or replaced; it may still be a right one."""
    text = list(POINTS)
    for _ in range(trial.rng.randrange(1, 6)):
        at = trial.rng.randrange(len(text))
        text[at] = trial.rng.choice(("", text[at] * 2, *"[]{}:,-#&*!|>'\"%@`\n\t 0.x~"))
    sweep_file(trial, "".join(text).encode())


def number(trial: Trial) -> None:
    """Put a number in the place of another that no run can be made with, or that is larger than any machine."""
    field, value = trial.rng.choice(FIELDS), trial.rng.choice(NUMBERS)
    before, _, after = POINTS.partition(f"{field}: ")
    rest = after.lstrip("[0123456789]")
    sweep_file(trial, f"{before}{field}: {f'[{value}]' if field == 'seeds' else value}{rest}".encode())


def names(trial: Trial) -> None:
    """Give the data set's file a name with markup, control characters or code; sweep, report, and read the figures."""
    trial.begin("half")
    shutil.rmtree(trial.folder)
    name = trial.rng.choice(NAMES)
    with suppress(OSError, ValueError):
        (trial.place / "data.npz").rename(trial.place / f"{name}.npz")
    path = trial.place / "images.yaml"
    quoted = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04x}" for letter in name)
    path.write_text(path.read_text().replace("data.npz", f'"{quoted}.npz"'))
    done = swept(trial.place, "images")
    trial.heard(done)
    judged(trial, done)
    if done.returncode == 0:
        trial.call("status", trial.folder)
        trial.call("report", trial.folder)
        for figure in trial.folder.rglob("*.svg"):
            try:
                ET.parse(figure)
            except ET.ParseError:
                trial.how("broken SVG")
    if (trial.place / "ran").exists():
        trial.how("RAN CODE")


def judged(trial: Trial, done: Done) -> None:
    """Say how a command took an input: one line on stderr is a refusal."""
    trial.how({0: "accepted", 2: "refused"}.get(done.returncode, f"exit {done.returncode}"))
    lines = done.stderr.splitlines()
    if done.returncode == 2 and (len(lines) != 1 or not lines[0].startswith("error: ")):
        trial.outcome.unclear.append(lines[0] if lines else "no message")


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


def _fault(name: str, allowed: Sequence[str], attempt: Callable[[Trial], None], sweep: str = "points") -> Fault:
    return Fault("inputs", name, tuple(allowed), attempt, sweep)


FAULTS = [
    _fault("sweep file: no plain YAML", REFUSED, hostile_yaml),
    _fault("sweep file: mutated", ("refused", "accepted"), mutated_sweep_file),
    _fault("sweep file: numbers", ("refused", "accepted"), number),
    _fault("names with markup, control characters and code", ("refused", "accepted"), names, "images"),
    _fault("pickles that run code", ("equal", "named", "refused", "failed alone"), hostile_pickle),
    _fault("npz files: headers, pickles, bombs", REFUSED, hostile_npz, "images"),
    _fault("archives: members outside, links, devices", ("refused", "accepted"), hostile_archive),
    _fault("pictures: bombs, pipes, loops", ("refused", "accepted"), hostile_pictures),
]
