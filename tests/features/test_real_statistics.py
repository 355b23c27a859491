"""Statistics of real images: their values, the random draw, and the cache."""

import numpy as np
import pytest
import torch
from fake_inception import data, network

from lipschitz.errors import InputError
from lipschitz.features import real_statistics as module
from lipschitz.features.protocols import SNGAN, Modern
from lipschitz.features.real_statistics import embed_random_images, real_statistics

SMALL = SNGAN(n_real=20, n_fake=10)


@pytest.fixture
def passes(monkeypatch):
    """Return the list of arguments of every draw that passed the network."""
    made = []

    def counted(*arguments):
        made.append(arguments)
        return embed_random_images(*arguments)

    monkeypatch.setattr(module, "embed_random_images", counted)
    return made


def test_statistics_are_mean_covariance_and_part_of_the_features(tmp_path):
    real, inception = data(), network()
    found = real_statistics(real, SMALL, inception, tmp_path)
    drawn = embed_random_images(real, "held_out", 20, inception, "pytorch_fid").features
    assert found.moments.mean == pytest.approx(drawn.double().mean(dim=0), rel=1e-9)
    covariance = found.moments.factor.T @ found.moments.factor
    assert np.allclose(covariance, np.cov(drawn.T.double()), rtol=1e-6, atol=1e-12)
    assert np.array_equal(found.features, drawn[:10])


def test_a_draw_is_random_always_the_same_and_in_its_own_order(monkeypatch):
    real, inception = data(), network()
    everything = inception.embed(real.chunks("train"), "pytorch_fid")
    order = torch.randperm(40, generator=module.stream(0, "protocol/train")).numpy()
    for n in (40, 12):
        drawn = embed_random_images(real, "train", n, inception, "pytorch_fid")
        assert drawn.features == pytest.approx(everything.features[order[:n]], abs=1e-6)
        assert drawn.logits == pytest.approx(everything.logits[order[:n]], abs=1e-6)
    assert sorted(order) != list(order)


def test_a_draw_does_not_depend_on_chunks():
    real, inception = data(), network()
    whole = embed_random_images(real, "train", 12, inception, "pytorch_fid").features

    class Streamed:
        sizes, hash = real.sizes, real.hash

        def chunks(self, split):
            return real.chunks(split, 7)

    assert embed_random_images(Streamed(), "train", 12, inception, "pytorch_fid").features == pytest.approx(
        whole, abs=1e-6
    )


def test_the_second_call_reads_the_cache(tmp_path, passes):
    first, second = (real_statistics(data(), SMALL, network(), tmp_path) for _ in range(2))
    assert len(passes) == 1
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.moments.factor, second.moments.factor)


def test_images_protocol_and_network_are_part_of_the_cache_key(tmp_path, passes):
    others = [
        (data(seed=5), SMALL, network()),
        (data(), SNGAN(n_real=21, n_fake=10), network()),
        (data(), SNGAN(n_real=20, n_fake=10, preprocessing="torch_fidelity"), network()),
        (data(), SNGAN(n_real=20, n_fake=10, precision="tf32"), network()),
        (data(), Modern(n_real=20, n_fake=10), network()),
        (data(), SMALL, network(sha256="b" * 64)),
    ]
    for arguments in [(data(), SMALL, network()), *others]:
        real_statistics(*arguments, tmp_path)
    assert len(passes) == len(list(tmp_path.glob("*.npz"))) == 7


def truncate(path):
    path.write_bytes(path.read_bytes()[:500])


def overwrite(path):
    path.write_bytes(b"not a file of NumPy")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def remove_an_array(path):
    np.savez(path, mean=np.zeros(2048))


def change_a_shape(path):
    np.savez(path, mean=np.zeros(3), factor=np.zeros((2, 3)), features=np.zeros((2, 3)))


@pytest.mark.parametrize("damage", [truncate, overwrite, flip_a_bit, remove_an_array, change_a_shape])
def test_a_broken_file_is_named_and_replaced(tmp_path, passes, caplog, damage):
    expected = real_statistics(data(), SMALL, network(), tmp_path)
    (path,) = tmp_path.glob("*.npz")
    damage(path)
    again = real_statistics(data(), SMALL, network(), tmp_path)
    assert len(passes) == 2
    assert str(path) in caplog.text
    assert np.array_equal(again.features, expected.features)
    caplog.clear()
    real_statistics(data(), SMALL, network(), tmp_path)
    assert len(passes) == 2
    assert not caplog.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*; set XDG_CACHE_HOME"):
        real_statistics(data(), SMALL, network(), tmp_path / "missing")
