"""The constraints' update beside the generator's forward pass: once for each update, and only where it may be early."""

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.datasets.points import EightGaussians
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.player import Discriminator, Generator
from lipschitz.tasks.side_stream import SideStream

CPU = torch.device("cpu")


class Noted(Constraint):
    """Notes its updates; not said to write to buffers only."""

    source, promise = "this test", "none"

    def update(self, net: nn.Module) -> None:
        order.append("update")


class Early(Noted):
    """The same, said to write to buffers only."""

    updates_buffers_only = True


order: list[str] = []


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ((Early(),), ["update", "generate", "step"]),
        ((Early(), GradientPenalty()), ["update", "generate", "step"]),
        ((Noted(),), ["generate", "step", "update"]),
        ((Early(), Noted()), ["generate", "step", "update", "update"]),
    ],
)
def test_an_update_is_early_where_all_constraints_allow_it(
    constraints: tuple[Constraint, ...], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, name in ((Generator, "generate"), (Discriminator, "step")):
        made = getattr(kind, name)

        def noted(*args: object, made: object = made, name: str = name) -> object:
            order.append(name)
            return made(*args)

        monkeypatch.setattr(kind, name, noted)
    terms = with_terms(TERMS, model=MLP(width=8, depth=2), selection="w1", constraints=constraints)
    task = GANTraining(EightGaussians().load(None, CPU), terms)
    order.clear()
    for _ in range(2):
        task.discriminator_step()
    assert order == 2 * expected


def test_a_step_without_an_early_update_makes_it_itself() -> None:
    terms = with_terms(TERMS, constraints=(Early(),))
    player = Discriminator(nn.Linear(2, 1), (2,), terms, torch.Generator())
    order.clear()
    for _ in range(2):
        player.step(torch.ones(3, 2), torch.zeros(3, 2))
    assert order == ["update", "update"]


@pytest.mark.gpu
def test_work_beside_waits_for_what_came_before_and_is_waited_for() -> None:
    device = torch.device("cuda")
    side, current = SideStream(device), torch.cuda.current_stream(device)
    side.join()
    values = torch.zeros(1, device=device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        values += 1
        with side.fork():
            assert torch.cuda.current_stream(device) != current
            values *= 2
        side.join()
        side.join()
        values += 1
    graph.replay()
    graph.replay()
    assert values.item() == 9
    with side.fork():
        values.zero_()
    side.join()
    assert values.item() == 0


def test_on_a_cpu_the_work_runs_at_once() -> None:
    side, values = SideStream(CPU), torch.ones(1)
    with side.fork():
        values += 1
    assert values.item() == 2
    side.join()
