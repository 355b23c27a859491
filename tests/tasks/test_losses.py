"""GAN losses against the formulas of their papers, in NumPy."""

import numpy as np
import pytest
import torch

from lipschitz.tasks.losses import LOSSES

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
}


def test_every_loss_is_checked_and_says_where_it_is_from() -> None:
    assert set(LOSSES) == set(EXPECTED)
    assert all("arXiv:" in loss.source and loss.summary().endswith(".") for loss in LOSSES.values())


@pytest.mark.parametrize("name", LOSSES)
def test_values(name: str) -> None:
    discriminator, generator = EXPECTED[name]
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    assert LOSSES[name]().discriminator(real, fake).item() == pytest.approx(discriminator, rel=1e-12)
    assert LOSSES[name]().generator(fake).item() == pytest.approx(generator, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_both_players_are_pulled_the_right_way(name: str) -> None:
    real, fake = (torch.zeros(3, 1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    LOSSES[name]().discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all(), "D(real) rises"
    assert (fake.grad > 0).all(), "D(generated) falls"
    fake.grad = None
    LOSSES[name]().generator(fake).backward()
    assert (fake.grad < 0).all(), "the generator raises D(generated)"


@pytest.mark.parametrize("name", LOSSES)
def test_large_outputs_stay_finite(name: str) -> None:
    for value in (1e4, -1e4):
        output = torch.full((2, 1), value)
        assert torch.isfinite(LOSSES[name]().discriminator(output, output))
        assert torch.isfinite(LOSSES[name]().generator(output))
