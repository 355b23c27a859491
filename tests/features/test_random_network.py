"""The random network, by whose features images without labels are judged offline."""

import numpy as np
import torch

from lipschitz.features.random_network import random_network
from lipschitz.metrics.frechet import frechet_distance

CPU = torch.device("cpu")
SHAPE = (3, 16, 16)


def images(n: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def test_every_run_has_the_same_network_and_no_random_number_is_used() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = random_network(SHAPE, CPU), random_network(SHAPE, CPU), random_network((1, 16, 16), CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert first.sha256 == again.sha256 != other.sha256
    found = first.features(images(300))
    assert found.shape == (300, 64)
    assert found.dtype == np.float64
    assert np.array_equal(found, again.features(images(300)))
    # One image at a time gives the same.
    assert np.allclose(found[:3], np.concatenate([first.features(images(300)[k : k + 1]) for k in range(3)]))


def test_worse_images_are_further_away() -> None:
    network, real = random_network(SHAPE, CPU), images(400)
    noise = torch.randn(400, *SHAPE, generator=torch.Generator().manual_seed(9))
    kinds = [images(400, 1), (images(400, 1) + 0.2 * noise).clamp(-1, 1), (images(400, 1) + noise).clamp(-1, 1)]
    distances = [frechet_distance(network.features(one), network.features(real)) for one in kinds]
    collapsed = frechet_distance(network.features(images(1).expand(400, -1, -1, -1)), network.features(real))
    assert distances == sorted(distances)
    assert 10 * distances[0] < min(distances[2], collapsed)
