import hashlib
import io
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lipschitz.training import checkpoint
from lipschitz.training.checkpoint import Unusable

IDENTITY = {"run": "mine-s0-01234567", "data": "ab" * 32}
STATE: dict[str, Any] = {
    "identity": IDENTITY,
    "steps": 100,
    "step": 50,
    "measured_at": 50,
    "seconds": 1.5,
    "size": 10,
    "records": "cd" * 32,
    "last": {"distance": 1.0},
    "best": None,
    "task": {"value": torch.zeros(3)},
}


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "checkpoint.pt", tmp_path / "checkpoint.prev.pt"


def sign(path: Path, value: Any) -> None:
    """Write a value as a checkpoint whose checksum is right."""
    content = io.BytesIO()
    torch.save(value, content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    path.write_bytes(checkpoint.HEADER % digest.encode() + content.getvalue())


def test_the_newest_is_read_and_the_one_before_is_kept(paths: tuple[Path, Path]) -> None:
    for step in (1, 2, 3):
        checkpoint.save({"step": step, "weights": torch.full((3,), float(step))}, *paths)
    newest, before = map(checkpoint.read, paths)
    assert (newest["step"], before["step"]) == (3, 2)
    assert newest["weights"].tolist() == [3.0] * 3
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["checkpoint.prev.pt", "checkpoint.pt"]


def test_what_a_crash_between_two_links_left_is_no_obstacle(paths: tuple[Path, Path]) -> None:
    checkpoint.save({"step": 1}, *paths)
    paths[1].with_name(f".{paths[1].name}.{os.getpid()}").write_bytes(b"left over")
    checkpoint.save({"step": 2}, *paths)
    assert [checkpoint.read(path)["step"] for path in paths] == [2, 1]
    assert len(list(paths[0].parent.iterdir())) == 2


def test_every_flipped_bit_is_noticed(paths: tuple[Path, Path]) -> None:
    checkpoint.save(STATE, *paths)
    whole = paths[0].read_bytes()
    rng = random.Random(0)
    places = [*range(8 * 10), *(rng.randrange(8 * len(whole)) for _ in range(40))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        paths[0].write_bytes(damaged)
        with pytest.raises(Unusable, match="damaged"):
            checkpoint.read(paths[0])


@pytest.mark.parametrize("content", [b"", b"torn", b"not a checkpoint\n" * 9], ids=["empty", "short", "other"])
def test_other_bytes_are_no_checkpoint(paths: tuple[Path, Path], content: bytes) -> None:
    paths[0].write_bytes(content)
    with pytest.raises(Unusable, match="damaged"):
        checkpoint.read(paths[0])


def test_a_truncated_one_is_damaged_and_one_of_an_earlier_version_is_named_so(paths: tuple[Path, Path]) -> None:
    checkpoint.save(STATE, *paths)
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    with pytest.raises(Unusable, match="damaged"):
        checkpoint.read(paths[0])
    torch.save({"format": 2, "step": 1}, paths[0])
    with pytest.raises(Unusable, match="written by an earlier version of lipschitz"):
        checkpoint.read(paths[0])
    sign(paths[0], {"format": 2, "step": 1})
    with pytest.raises(Unusable, match="of format 2, not 3"):
        checkpoint.read(paths[0])


@pytest.mark.parametrize("value", [[1], torch.zeros(2), "text", None], ids=["list", "tensor", "string", "none"])
def test_a_file_that_holds_something_else_is_no_checkpoint(paths: tuple[Path, Path], value: Any) -> None:
    sign(paths[0], value)
    with pytest.raises(Unusable, match=f"no checkpoint, but a {type(value).__name__}"):
        checkpoint.read(paths[0])


def test_nothing_in_a_file_is_executed(paths: tuple[Path, Path], tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    sign(paths[0], {"step": Payload()})
    with pytest.raises(Unusable, match=r"^no checkpoint \([^\n]{1,100}\)$"):
        checkpoint.read(paths[0])
    assert not (tmp_path / "executed").exists()


def test_a_whole_one_of_the_run_is_accepted() -> None:
    checkpoint.check(STATE, IDENTITY, 100)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another run": ({"identity": IDENTITY | {"run": "other"}}, "of another run: its run is other, not mine-s0-0123"),
    "other data": ({"identity": IDENTITY | {"data": "ef" * 32}}, "its data is efefefefefef, not abababababab$"),
    "further inputs": ({"identity": IDENTITY | {"inception": "9"}}, "its inception is 9, not None"),
    "no identity": ({"identity": None}, "it does not say of which run it is"),
    "other steps": ({"steps": 200}, "of a run of 200 steps, not 100"),
    "beyond the end": ({"step": 101}, "step is 101"),
    "negative": ({"step": -1}, "step is -1"),
    "no integer": ({"step": 50.0}, "step is 50.0"),
    "measured later": ({"measured_at": 51}, "step is 50"),
    "size": ({"size": -1}, "size is -1"),
    "seconds": ({"seconds": float("nan")}, "seconds is nan"),
    "records": ({"records": None}, "records is None"),
    "best": ({"best": {"step": 1}}, "best is {'step': 1}"),
    "task": ({"task": [1]}, r"task is \[1\]"),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
def test_one_that_is_not_of_the_run_or_not_whole_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        checkpoint.check(STATE | change, IDENTITY, 100)


@pytest.mark.parametrize("key", [key for key in STATE if key not in ("identity", "steps")])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(Unusable, match=f"it lacks {key}"):
        checkpoint.check({name: value for name, value in STATE.items() if name != key}, IDENTITY, 100)
