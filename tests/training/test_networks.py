"""What stays of a run that is over: one file of its networks, and no checkpoints unless they were asked for."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from counter_task import Counter
from small_generation_task import task as generation_task
from torch import nn
from torch.testing import assert_close

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.locks import lock
from lipschitz.models.mlp import MLP
from lipschitz.sweep.run_folder import CHECKPOINTS_KEPT, RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.training import checkpoint
from lipschitz.training.loop import Trainer


class WithNetwork(Counter):
    """A counter whose number is the weight of a network."""

    def networks(self) -> dict[str, nn.Module]:
        net = nn.Linear(1, 1, bias=False)
        net.weight.data.fill_(float(self.value))
        return {"net": net}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def kept(folder: RunFolder) -> Any:
    return torch.load(folder.networks, weights_only=True)


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_the_last_and_the_best_networks_are_kept_and_the_checkpoints_are_not(folder: RunFolder) -> None:
    list(Trainer(WithNetwork(), folder, steps=200, every=60).run())
    assert names(folder) == ["networks.pt", "records.jsonl", "result.json", "samples.npz"]
    found = kept(folder)
    assert found["step"] == {"last": 200, "best": 120}
    assert found["last"] == {"net": {"weight": torch.tensor([[200.0]])}}
    assert found["best"] == {"net": {"weight": torch.tensor([[120.0]])}}


def test_checkpoints_are_kept_on_demand(folder: RunFolder) -> None:
    list(Trainer(WithNetwork(), folder, steps=200, every=60, keep_checkpoints=True).run())
    assert checkpoint.read(folder.checkpoint)["step"] == 200
    assert folder.previous_checkpoint.exists()
    assert folder.networks.exists()


def test_a_diverged_run_keeps_its_best_networks_and_those_it_ended_with(folder: RunFolder) -> None:
    list(Trainer(WithNetwork(diverges_at=170), folder, steps=200, every=60).run())
    assert folder.status() == "diverged"
    found = kept(folder)
    assert found["best"]["net"]["weight"].item() == 120
    assert found["last"]["net"]["weight"].isnan()
    assert not folder.checkpoint.exists()


def test_a_task_that_names_no_networks_finishes(folder: RunFolder) -> None:
    list(Trainer(Counter(), folder, steps=10, every=10).run())
    assert kept(folder)["last"] == {}


def test_weights_that_are_kept_once_are_written_once(folder: RunFolder) -> None:
    list(Trainer(WithNetwork(), folder, steps=120, every=60).run())
    found = kept(folder)
    assert found["best"]["net"]["weight"] is found["last"]["net"]["weight"]


def test_the_example_of_the_documentation_loads_a_critic_and_a_generator(folder: RunFolder) -> None:
    model = MLP(width=8, depth=1)
    task = generation_task("float32", SpectralNormalization(), model=model)
    list(Trainer(task, folder, steps=4, every=2, keep_checkpoints=True).run())
    page = (Path(__file__).parents[2] / "docs" / "running.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("results/small/runs/<id>", str(folder.path)), names)
    trained = checkpoint.read(folder.checkpoint)["task"]["players"]
    own = names["networks"]
    assert_close(dict(own.generator.state_dict()), dict(trained["generator"]["net"]))
    assert_close(dict(names["discriminator"].state_dict()), dict(trained["discriminator"]["net"]))


def crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_crash_before_the_checkpoints_are_removed_leaves_a_finished_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = RunFolder(folder.path / "whole")
    whole.path.mkdir()
    list(Trainer(WithNetwork(), whole, steps=200, every=60).run())
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "drop_checkpoints", crash)
        with pytest.raises(KeyboardInterrupt):
            list(Trainer(WithNetwork(), folder, steps=200, every=60).run())
    assert folder.status() == "finished"
    assert folder.checkpoint.exists()
    folder.remove_leftovers()
    assert [name for name in names(folder) if name not in names(whole)] == ["lock", "whole"]


@pytest.mark.parametrize("step", ["training.journal.write_bytes", "sweep.run_folder.RunFolder.finish"])
def test_a_crash_before_the_result_is_written_is_resumed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"lipschitz.{step}", crash)
        with pytest.raises(KeyboardInterrupt):
            list(Trainer(WithNetwork(), folder, steps=200, every=60).run())
    folder.remove_leftovers()
    assert folder.status() == "waiting"
    again = Trainer(WithNetwork(), folder, steps=200, every=60)
    assert again.restore() == []
    assert again.step == 200
    list(again.run())
    assert folder.status() == "finished"
    assert kept(folder)["step"] == {"last": 200, "best": 120}


@pytest.fixture
def left(folder: RunFolder) -> RunFolder:
    """A finished run with its checkpoints and a temporary file of a dead process."""
    folder.define({"seed": 0})
    list(Trainer(WithNetwork(), folder, steps=20, every=10, keep_checkpoints=True).run())
    (folder.path / ".checkpoint.pt.4194305").touch()
    return folder


def test_what_a_living_process_has_locked_is_left_alone(left: RunFolder) -> None:
    before = names(left)
    with lock(left.path / "lock", wait=True):
        left.remove_leftovers()
    assert names(left) == sorted([*before, "lock"])
    SweepFolder(left.path.parent).remove_leftovers([])
    left.remove_leftovers()
    assert names(left) == ["lock", "networks.pt", "records.jsonl", "result.json", "run.json", "samples.npz"]


def test_checkpoints_that_were_asked_for_are_no_leftovers(left: RunFolder) -> None:
    left.define({"provenance": [{CHECKPOINTS_KEPT: True}]})
    left.remove_leftovers()
    assert left.checkpoint.exists()
    assert not (left.path / ".checkpoint.pt.4194305").exists()


def test_the_checkpoints_of_an_earlier_version_stay_as_they_hold_the_only_networks(left: RunFolder) -> None:
    left.networks.unlink()
    left.remove_leftovers()
    assert left.checkpoint.exists()


def test_the_start_of_a_run_removes_temporary_files(folder: RunFolder) -> None:
    (folder.path / f".run.json.{os.getpid()}").touch()
    with folder.writing():
        assert names(folder) == ["lock"]
