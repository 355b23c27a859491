import numpy as np
import pytest
import torch
from inception_stand_in import data, network

from lipschitz.errors import InputError
from lipschitz.features import statistics as module
from lipschitz.features.protocols import SNGAN, Modern
from lipschitz.features.statistics import embedded_draw, real_statistics

SMALL = SNGAN(n_real=20, n_fake=10)


@pytest.fixture
def passes(monkeypatch):
    """List the draws that went through the network."""
    made = []

    def counted(*arguments):
        made.append(arguments)
        return embedded_draw(*arguments)

    monkeypatch.setattr(module, "embedded_draw", counted)
    return made


def test_they_are_mean_covariance_and_some_features_of_the_draw(tmp_path):
    real, inception = data(), network()
    found = real_statistics(real, SMALL, inception, tmp_path)
    drawn = embedded_draw(real, "held_out", 20, inception, "pytorch_fid").features
    assert found.moments.mean == pytest.approx(drawn.mean(axis=0, dtype=np.float64), rel=1e-9)
    covariance = found.moments.factor.T @ found.moments.factor
    assert np.allclose(covariance, np.cov(drawn.T.astype(np.float64)), rtol=1e-6, atol=1e-12)
    assert np.array_equal(found.features, drawn[:10])


def test_a_draw_is_random_and_always_the_same_and_in_the_order_of_the_draw(monkeypatch):
    real, inception = data(), network()
    everything = inception.embed(real.chunks("train"), "pytorch_fid")
    order = torch.randperm(40, generator=module.stream(0, "protocol/train")).numpy()
    for n in (40, 12):
        drawn = embedded_draw(real, "train", n, inception, "pytorch_fid")
        assert drawn.features == pytest.approx(everything.features[order[:n]], abs=1e-6)
        assert drawn.logits == pytest.approx(everything.logits[order[:n]], abs=1e-6)
    assert sorted(order) != list(order)


def test_chunks_do_not_matter():
    real, inception = data(), network()
    whole = embedded_draw(real, "train", 12, inception, "pytorch_fid").features

    class Streamed:
        sizes, hash = real.sizes, real.hash

        def chunks(self, split):
            return real.chunks(split, 7)

    assert embedded_draw(Streamed(), "train", 12, inception, "pytorch_fid").features == pytest.approx(whole, abs=1e-6)


def test_the_second_call_reads_what_the_first_wrote(tmp_path, passes):
    first, second = (real_statistics(data(), SMALL, network(), tmp_path) for _ in range(2))
    assert len(passes) == 1
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.moments.factor, second.moments.factor)


def test_other_images_another_protocol_or_another_network_is_another_file(tmp_path, passes):
    others = [
        (data(seed=5), SMALL, network()),
        (data(), SNGAN(n_real=21, n_fake=10), network()),
        (data(), SNGAN(n_real=20, n_fake=10, preprocessing="torch_fidelity"), network()),
        (data(), Modern(n_real=20, n_fake=10), network()),
        (data(), SMALL, network(sha256="b" * 64)),
    ]
    for arguments in [(data(), SMALL, network()), *others]:
        real_statistics(*arguments, tmp_path)
    assert len(passes) == len(list(tmp_path.glob("*.npz"))) == 6


def tear(path):
    path.write_bytes(path.read_bytes()[:500])


def scribble(path):
    path.write_bytes(b"not a file of NumPy")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def leave_out_an_array(path):
    np.savez(path, mean=np.zeros(2048))


def change_a_shape(path):
    np.savez(path, mean=np.zeros(3), factor=np.zeros((2, 3)), features=np.zeros((2, 3)))


@pytest.mark.parametrize("damage", [tear, scribble, flip_a_bit, leave_out_an_array, change_a_shape])
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
