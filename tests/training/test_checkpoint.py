from pathlib import Path

import pytest
import torch

from lipschitz.training import checkpoint


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "checkpoint.pt", tmp_path / "checkpoint.prev.pt"


def test_the_newest_is_loaded_and_the_one_before_is_kept(paths: tuple[Path, Path]) -> None:
    for step in (1, 2, 3):
        checkpoint.save({"step": step, "weights": torch.full((3,), float(step))}, *paths)
    state, broken = checkpoint.load(*paths)
    assert state is not None
    assert broken == []
    assert state["step"] == 3
    assert torch.load(paths[1], weights_only=True)["step"] == 2
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["checkpoint.prev.pt", "checkpoint.pt"]


def test_what_a_crash_between_two_links_left_is_no_obstacle(paths: tuple[Path, Path]) -> None:
    checkpoint.save({"step": 1}, *paths)
    paths[1].with_name(f".{paths[1].name}").write_bytes(b"left over")
    checkpoint.save({"step": 2}, *paths)
    assert checkpoint.load(*paths) == ({"step": 2}, [])
    assert torch.load(paths[1], weights_only=True) == {"step": 1}
    assert len(list(paths[0].parent.iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "torn"])
def test_a_broken_one_is_named_and_the_one_before_it_loaded(paths: tuple[Path, Path], damage: str) -> None:
    for step in (1, 2):
        checkpoint.save({"step": step}, *paths)
    whole = paths[0].read_bytes()
    paths[0].write_bytes(
        {"truncated": whole[: len(whole) // 2], "empty": b"", "garbage": b"not a checkpoint", "torn": b"torn"}[damage]
    )
    state, broken = checkpoint.load(*paths)
    assert state == {"step": 1}
    assert len(broken) == 1
    assert "checkpoint.pt: broken checkpoint" in broken[0]
    checkpoint.save({"step": 3}, *paths)
    assert torch.load(paths[1], weights_only=True)["step"] == 1, "the broken file did not take the good one's place"
    assert "\n" not in broken[0]


def test_nothing_in_a_file_is_executed(paths: tuple[Path, Path], tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    torch.save({"step": Payload()}, paths[0])
    state, broken = checkpoint.load(*paths)
    assert state is None
    assert len(broken) == 1
    assert not (tmp_path / "executed").exists()


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(paths: tuple[Path, Path]) -> None:
    assert checkpoint.load(*paths) == (None, [])
