"""A network of the user's, constrained in a loop of the user's, trains as in a sweep."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from gan_terms import TERMS
from torch import Tensor, nn

import lipschitz as lip
from lipschitz.constraints.base import CONSTRAINTS, Batch
from lipschitz.models.mlp import MLP
from lipschitz.random_streams import seeded, stream
from lipschitz.tasks.losses import Wasserstein
from lipschitz.tasks.player import Discriminator

METHODS: list[Any] = [
    "none",
    {"weight_clipping": {"c": 0.05}},
    "spectral_normalization",
    "lecam_regularization",
    ["spectral_normalization", {"gradient_penalty": {"weight": 1.0}}],
    "orthonormal_regularization",
]


def critic() -> nn.Module:
    torch.manual_seed(0)
    return MLP(width=16, depth=1).build((2,)).discriminator


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_loop_of_the_docstring_makes_the_steps_of_a_sweep(method: Any) -> None:
    with seeded(0, "constraint"):
        mine = lip.constrain(critic(), method, (2,))
    terms = replace(TERMS, constraints=mine.constraints, loss=Wasserstein())
    theirs = Discriminator(critic(), (2,), terms, stream(0, "rng"))
    optimiser = terms.setting.of_discriminator().build(mine, torch.device("cpu"))
    batches, rng = stream(0, "batches"), stream(0, "rng")
    for _ in range(4):
        real, fake = torch.randn(2, 8, 2, generator=batches)
        theirs.update_constraints_early()
        theirs.step(real, fake)
        mine.update()
        of_real, of_fake = mine(real), mine(fake)
        loss = of_fake.mean() - of_real.mean()
        loss = loss + mine.penalty(real, fake, real_outputs=of_real, fake_outputs=of_fake, rng=rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mine.project()
    for (name, value), expected in zip(mine.net.state_dict().items(), theirs.net.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    assert any(
        not torch.equal(one, other) for one, other in zip(mine.parameters(), critic().parameters(), strict=False)
    )


def test_points_are_drawn_from_the_global_generator_unless_another_is_given() -> None:
    net = lip.constrain(critic(), "gradient_penalty", (2,))
    real, fake = torch.randn(2, 8, 2, generator=stream(0, "x"))
    torch.manual_seed(3)
    drawn = net.penalty(real, fake)
    torch.manual_seed(3)
    assert torch.equal(drawn, net.penalty(real, fake))
    assert torch.equal(drawn, net.penalty(real, fake, rng=torch.Generator().manual_seed(3)))
    assert not torch.equal(drawn, net.penalty(real, fake))


def test_a_penalty_is_not_rounded_under_autocast() -> None:
    net = lip.constrain(critic(), ["gradient_penalty", "lecam_regularization"], (2,))
    real, fake = torch.randn(2, 8, 2, generator=stream(0, "x"))
    whole = CONSTRAINTS["gradient_penalty"]().penalty(net.net, Batch(real, fake), stream(0, "p"))
    alone = lip.constrain(net.net, "gradient_penalty", (2,))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(alone.penalty(real, fake, rng=stream(0, "p")), whole)
        judged = net(real)
        assert judged.dtype == torch.bfloat16
        found = net.penalty(real, fake, real_outputs=judged, fake_outputs=net(fake))
    assert (found.dtype, bool(found.isfinite())) == (torch.float32, True)


class Conditional(nn.Module):
    """x, y -> (2 y + 1) sum(x): its input gradient has the norm sqrt(2) (2 y + 1)."""

    takes_labels = True

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return (2 * labels[:, None] + 1) * x.sum(1, keepdim=True)


def test_the_penalty_of_a_conditional_network_is_of_its_labels() -> None:
    net = lip.constrain(Conditional(), {"gradient_penalty": {"weight": 1.0}}, (2,))
    labels = torch.tensor([0, 1])
    assert net(torch.ones(2, 2), labels).flatten().tolist() == [2, 6]
    found = net.penalty(torch.zeros(2, 2), torch.ones(2, 2), labels)
    assert found.item() == pytest.approx(((2**0.5 - 1) ** 2 + (3 * 2**0.5 - 1) ** 2) / 2)


def test_it_is_saved_copied_and_measured_like_a_module() -> None:
    net = lip.constrain(nn.Linear(3, 1), "spectral_normalization", (3,))
    for _ in range(3):
        net.update()
    other = copy.deepcopy(net)
    other.load_state_dict(net.state_dict())
    samples = torch.rand(4, 3)
    assert torch.equal(other(samples), net(samples))
    assert repr(net).startswith("Constrained(\n  spectral_normalization\n")
    measured = lip.measure(net, net.shape)
    assert measured.lower == pytest.approx(1, rel=1e-5)
    assert measured.upper == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.Linear(2, 1), "spectral_norm", (2,)), "constrain: unknown constraint 'spectral_norm'; did you mean"),
        (
            (nn.Linear(2, 1), {"weight_clipping": {"bund": 1.0}}, (2,)),
            "weight_clipping.bund: unknown key 'bund'; allowed: biases, c, initial",
        ),
        ((nn.Linear(2, 1), "none", 2), r"constrain: expected the shape of one sample, such as \(3, 32, 32\), got 2"),
        ((nn.Linear(2, 1), "none", ()), r"expected the shape of one sample, such as \(3, 32, 32\), got \(\)"),
        (("net", "none", (2,)), "constrain: expected a torch.nn.Module, got str"),
        ((nn.Linear(2, 1), [3], (2,)), "constraint: expected a name, or one name with its fields"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments: Any, message: str) -> None:
    with pytest.raises(lip.InputError, match=message):
        lip.constrain(*arguments)


def test_refusals_of_methods_say_what_is_missing() -> None:
    with pytest.raises(lip.Refusal, match="both normalise every weight"):
        lip.constrain(nn.Linear(2, 1), ["spectral_normalization", "frobenius_normalization"], (2,))
    net = lip.constrain(nn.Linear(2, 1), "lecam_regularization", (2,))
    with pytest.raises(lip.Refusal, match="lecam_regularization needs outputs on real and generated samples"):
        net.penalty(torch.ones(4, 2), torch.ones(4, 2))
