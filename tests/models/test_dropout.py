"""Dropout from a random stream: values, reproducibility, and what an evaluation sees."""

import torch

from lipschitz.models.dropout import Dropout, dropout_from
from lipschitz.random_streams import stream


def test_kept_values_are_scaled_and_the_rest_is_zero() -> None:
    x = torch.full((400, 50), 3.0)
    with dropout_from(stream(0, "dropout")):
        y = Dropout(0.25)(x)
    assert set(y.unique().tolist()) == {0.0, 4.0}
    # 20,000 draws: a standard deviation is 0.003.
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.015


def test_the_stream_alone_decides_what_is_dropped() -> None:
    layer, x = Dropout(0.5), torch.ones(8, 8)
    found = []
    for seed in (1, 1, 2):
        torch.rand(3)
        with dropout_from(stream(seed, "dropout")):
            found.append(layer(x))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_nothing_is_dropped_or_drawn_in_eval_mode() -> None:
    rng = stream(0, "dropout")
    before, x = rng.get_state(), torch.ones(4, 4)
    with dropout_from(rng):
        assert Dropout(0.5).eval()(x) is x
    assert torch.equal(rng.get_state(), before)
