"""Losses against the formulas of their papers, in NumPy."""

import numpy as np
import pytest
import torch

from lipschitz.tasks.losses import LOSSES, LSGAN, CrossEntropy, GANLoss, HingeMargin, Relativistic, margins

REAL = np.array([[2.0], [0.5], [-1.5]])
FAKE = np.array([[-3.0], [0.25], [1.0]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


CROSS_ENTROPY = -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()
EXPECTED = {
    "hinge": (np.mean([0, 0.5, 2.5]) + np.mean([0, 1.25, 2.0]), -FAKE.mean()),
    "non_saturating": (CROSS_ENTROPY, -np.log(sigmoid(FAKE)).mean()),
    "minimax": (CROSS_ENTROPY, np.log(1 - sigmoid(FAKE)).mean()),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
    "least_squares": (np.mean([1, 0.25, 6.25]) / 2 + np.mean([9, 0.0625, 1]) / 2, np.mean([16, 0.5625, 0]) / 2),
    # The differences D(x) - D(G(z)), pair by pair, are 5, 0.25 and -2.5.
    "relativistic": tuple(np.log(1 + np.exp(sign * np.array([5, 0.25, -2.5]))).mean() for sign in (-1, 1)),
}


GAN_LOSSES: dict[str, type[GANLoss]] = {name: kind for name, kind in LOSSES.items() if issubclass(kind, GANLoss)}
LOGITS = [[2.0, 1.0, -1.0], [0.0, 0.5, 3.0]]


def test_every_loss_is_checked_and_says_where_it_is_from() -> None:
    assert set(GAN_LOSSES) == set(EXPECTED)
    assert set(LOSSES) - set(EXPECTED) == {"cross_entropy", "hinge_margin"}
    assert all("arXiv:" in loss.source and loss.summary().endswith(".") for loss in LOSSES.values())


def test_values_of_classifiers() -> None:
    logits, labels = torch.tensor(LOGITS, dtype=torch.float64), torch.tensor([0, 1])
    # Margins are 2 - 1 = 1 and 0.5 - 3 = -2.5.
    assert margins(logits, labels).tolist() == [1.0, -2.5]
    assert HingeMargin().of_samples(logits, labels).tolist() == [0.0, 3.5]
    assert HingeMargin(margin=2.0).of_samples(logits, labels).tolist() == [1.0, 4.5]
    for temperature in (1.0, 4.0):
        scaled = temperature * np.array(LOGITS)
        expected = np.log(np.exp(scaled).sum(1)) - scaled[[0, 1], [0, 1]]
        found = CrossEntropy(temperature=temperature).of_samples(logits, labels)
        assert found.tolist() == pytest.approx(expected / temperature, rel=1e-12)
    lowered = logits - torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]], dtype=torch.float64)
    found = CrossEntropy(temperature=4.0, offset=0.5).of_samples(logits, labels)
    assert found.tolist() == pytest.approx(CrossEntropy(temperature=4.0).of_samples(lowered, labels).tolist())


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_values(name: str) -> None:
    discriminator, generator = EXPECTED[name]
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    assert GAN_LOSSES[name]().discriminator(real, fake).item() == pytest.approx(discriminator, rel=1e-12)
    assert of_generator(GAN_LOSSES[name](), fake, real).item() == pytest.approx(generator, rel=1e-12)


def of_generator(loss: GANLoss, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return loss.generator(fake, real) if loss.generator_sees_real else loss.generator(fake)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_both_players_are_pulled_the_right_way(name: str) -> None:
    real, fake = (torch.full((3, 1), 0.5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    GAN_LOSSES[name]().discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all(), "D(real) rises"
    assert (fake.grad > 0).all(), "D(generated) falls"
    fake.grad = None
    of_generator(GAN_LOSSES[name](), fake, real.detach()).backward()
    assert (fake.grad < 0).all(), "the generator raises D(generated)"


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_large_outputs_stay_finite(name: str) -> None:
    for value in (1e4, -1e4):
        output = torch.full((2, 1), value)
        assert torch.isfinite(GAN_LOSSES[name]().discriminator(output, output))
        assert torch.isfinite(of_generator(GAN_LOSSES[name](), output, -output))


def test_least_squares_with_the_targets_of_its_eq_8() -> None:
    loss, real, fake = LSGAN(a=-1, b=1, c=0), torch.from_numpy(REAL), torch.from_numpy(FAKE)
    assert loss.discriminator(real, fake).item() == pytest.approx((7.5 / 3 + (4 + 1.5625 + 4) / 3) / 2, rel=1e-12)
    assert loss.generator(fake).item() == pytest.approx(10.0625 / 6, rel=1e-12)


def test_a_common_shift_of_all_outputs_does_not_change_the_relativistic_loss() -> None:
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    loss = Relativistic()
    for value in (loss.discriminator, lambda real, fake: loss.generator(fake, real)):
        assert value(real + 7, fake + 7).item() == pytest.approx(value(real, fake).item(), rel=1e-12)
    with pytest.raises(ValueError, match=r"relativistic needs D\(real\)"):
        loss.generator(fake)
