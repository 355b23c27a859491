"""A run that was begun on one kind of device is refused on another, in one line, and its checkpoints stay."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_generation_task import task
from small_transport_task import transport

from lipschitz.datasets.transport.funnels import Funnels
from lipschitz.errors import InputError
from lipschitz.models.mlp import MLP
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.training import checkpoint
from lipschitz.training.loop import Trainer
from lipschitz.training.task import Task


def generation(device: str) -> Task:
    return task("float32", model=MLP(width=4, depth=1), device=torch.device(device))


def critic(device: str) -> Task:
    return transport(data=Funnels(dim=2, width=4).load(None, torch.device(device)), device=torch.device(device))


def saved(build: Callable[[str], Task], path: Path, device: str) -> RunFolder:
    folder = RunFolder(path / "run")
    folder.path.mkdir()
    trainer = Trainer(build(device), folder, steps=4, every=4)
    trainer.save()
    trainer.save()
    return folder


def refused(build: Callable[[str], Task], folder: RunFolder, device: str) -> str:
    """Return why a trainer on ``device`` refuses the checkpoints, which it leaves as they are."""
    files = {path: path.read_bytes() for path in folder.path.iterdir()}
    with pytest.raises(InputError) as error:
        Trainer(build(device), folder, steps=4, every=4).restore()
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == files
    assert len(files) == 2
    return str(error.value)


SAID = (
    "{}: begun on {}, whose random numbers cannot go on on {}; use --device {}, or remove this folder to start the run "
    "again"
)


@pytest.mark.parametrize("build", [generation, critic])
def test_states_of_gpu_generators_are_refused_on_a_cpu(build: Callable[[str], Task], tmp_path: Path) -> None:
    folder = saved(build, tmp_path, "cpu")
    for path in (folder.checkpoint, folder.previous_checkpoint):
        state = checkpoint.read(path)
        # On CUDA a state is a seed and an offset.
        state["task"]["streams"] = {name: torch.zeros(16, dtype=torch.uint8) for name in state["task"]["streams"]}
        checkpoint.save(state, path, path)
    assert refused(build, folder, "cpu") == SAID.format(folder.path, "cuda", "cpu", "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("build", [generation, critic])
@pytest.mark.parametrize(("begun", "here"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_does_not_change_its_kind_of_device(
    build: Callable[[str], Task], begun: str, here: str, tmp_path: Path
) -> None:
    folder = saved(build, tmp_path, begun)
    assert refused(build, folder, here) == SAID.format(folder.path, begun, here, begun)
