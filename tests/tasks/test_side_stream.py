"""The constraints' update beside the generator's forward pass: once for each update, and only where it may be early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from branch_accesses import BranchAccesses
from gan_terms import TERMS, with_terms
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.spectral_regularization import SpectralRegularization
from lipschitz.constraints.stored_sigma import StoredSigmas
from lipschitz.datasets.points import EightGaussians
from lipschitz.models.mlp import MLP
from lipschitz.random_streams import seeded
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.generator import Generator
from lipschitz.tasks.player import Discriminator
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.side_stream import Branch, SideStream, notified

CPU = torch.device("cpu")


def training(*constraints: Constraint, generator: tuple[Constraint, ...] = ()) -> GANTraining:
    terms = with_terms(
        TERMS,
        model=MLP(width=8, depth=2),
        selection="w1",
        constraints=constraints,
        generator_constraints=generator,
        setting=Setting(lr=0.05),
    )
    return GANTraining(EightGaussians().load(None, CPU), terms)


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
    task = training(*constraints)
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


@contextmanager
def accesses() -> Iterator[BranchAccesses]:
    noted = BranchAccesses()
    with notified(noted.set_branch), noted:
        yield noted


SPECTRAL = SpectralNormalization()
METHODS: list[tuple[Constraint, ...]] = [
    (SPECTRAL,),
    (SpectralNormalization(operator="convolution", coefficient=0.5), GradientPenalty()),
    (SpectralRegularization(),),
    (NoConstraint(),),
]


@pytest.mark.parametrize("constraints", METHODS)
def test_no_tensor_is_used_by_both_branches_where_one_writes_it(constraints: tuple[Constraint, ...]) -> None:
    task = training(*constraints, generator=(SPECTRAL,))
    for _ in range(2):
        task.step(0.0)
    with accesses() as noted:
        for _ in range(2):
            task.step(0.0)
    assert noted.races == []
    forked: list[Branch] = ["beside", "meanwhile", "alone"]
    of_generator = forked if SPECTRAL.name() == constraints[0].name() else ["alone"]
    assert noted.branches == ["alone", *2 * [*forked, *of_generator]]


def writes_what_is_read(side: SideStream, value: Tensor) -> None:
    with side.fork():
        value.add_(1)
    value.sum()


def reads_what_is_written(side: SideStream, value: Tensor) -> None:
    with side.fork():
        value.sum()
    value.add_(1)


def hands_over_its_own_memory(side: SideStream, value: Tensor) -> None:
    with side.fork():
        made = value + 1
    side.join()
    made.sum()


def writes_apart(side: SideStream, value: Tensor) -> None:
    kept = torch.zeros(3)
    with side.fork():
        kept.copy_(value + 1)
    value.sum()
    side.join()
    kept.sum()


@pytest.mark.parametrize(
    ("work", "races"),
    [(writes_what_is_read, 1), (reads_what_is_written, 1), (hands_over_its_own_memory, 1), (writes_apart, 0)],
)
def test_the_check_of_both_branches_sees_a_race(work: Callable[[SideStream, Tensor], None], races: int) -> None:
    value = torch.zeros(3)
    with accesses() as noted:
        work(SideStream(CPU), value)
    assert len(noted.races) == races


@pytest.mark.parametrize("constraints", METHODS[:2])
def test_stored_sigmas_change_no_number_of_a_training(
    constraints: tuple[Constraint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stored, without = training(*constraints), training(*constraints)
    for _ in range(4):
        with_stored.step(0.0)
    monkeypatch.setattr(StoredSigmas, "used", lambda self: nullcontext())
    for _ in range(4):
        without.step(0.0)
    for name in ("generator", "discriminator"):
        pairs = zip(*(getattr(task, name).parameters() for task in (with_stored, without)), strict=True)
        assert all(torch.equal(*pair) for pair in pairs), name


def test_outputs_for_the_generator_need_no_early_sigma() -> None:
    terms = with_terms(TERMS, constraints=(SPECTRAL,))
    with seeded(0, "weights"):
        player = Discriminator(nn.Linear(2, 1), (2,), terms, torch.Generator())
    samples = torch.ones(3, 2)
    for early in (True, False):
        with torch.no_grad():
            for parameter in player.net.parameters():
                parameter.mul_(2).add_(0.1)
        if early:
            player.compute_sigmas_early()
        assert torch.equal(player.judge(samples)[0], player.net(samples))


@pytest.mark.gpu
def test_the_allocator_knows_what_the_side_stream_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    named: dict[int, torch.cuda.Stream] = {}
    monkeypatch.setattr(Tensor, "record_stream", lambda self, stream: named.setdefault(self.data_ptr(), stream))
    device = torch.device("cuda")
    terms = with_terms(TERMS, constraints=(SPECTRAL,), device=device)
    player = Discriminator(nn.Linear(2, 1), (2,), terms, torch.Generator(device))
    used = [*player.net.parameters(), *player.net.buffers(), player._sigmas.values]
    assert {tensor.data_ptr() for tensor in used} == named.keys()
    assert torch.cuda.current_stream(device) not in named.values()
