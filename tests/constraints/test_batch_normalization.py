"""Batch normalization against torch's batch_norm: running statistics, and refused combinations."""

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.constraints.batch_normalization import BatchNormalization
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.layer_normalization import LayerNormalization
from lipschitz.models.base import Model
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP

MODELS = [(MLP(width=6), (2,), (6,), nn.BatchNorm1d), (DCGAN(width=2), (3, 8, 8), (2, 8, 8), nn.BatchNorm2d)]
"""A model, the shape of its samples, the input shape of its first slot, and the class of the inserted layer."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bare(model: Model, shape: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(0)
    return model.build(shape).discriminator.double()


def wrapped(model: Model, shape: tuple[int, ...], *, gain: bool = False) -> nn.Module:
    return BatchNormalization(gain=gain).wrap(bare(model, shape), shape)


@pytest.mark.parametrize(("model", "shape", "seen", "kind"), MODELS)
def test_channels_are_normalised_over_the_batch_then_scaled_and_shifted(
    model: Model, shape: tuple[int, ...], seen: tuple[int, ...], kind: type[nn.Module]
) -> None:
    x, channels = 3 + 2 * draw(5, *seen), (-1,) + (1,) * (len(seen) - 1)
    axes = [0, *range(2, x.dim())]
    plain = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
    for gain in (False, True):
        norm = wrapped(model, shape, gain=gain).blocks[0].norm
        assert type(norm) is kind
        assert_allclose(norm(x).detach(), plain, rtol=1e-10, atol=1e-12)
        with torch.no_grad():
            for seed, parameter in enumerate(norm.parameters()):
                parameter.copy_(draw(*parameter.shape, seed=seed))
        expected = plain * norm.weight.view(channels) + norm.bias.view(channels)
        assert_allclose(norm(x).detach(), expected.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("model", "shape", "seen", "kind"), MODELS)
def test_eval_mode_uses_running_statistics_of_the_training_batches(
    model: Model, shape: tuple[int, ...], seen: tuple[int, ...], kind: type[nn.Module]
) -> None:
    norm, x = wrapped(model, shape).blocks[0].norm, 3 + 2 * draw(5, *seen)
    mean, variance = torch.zeros(seen[0], dtype=torch.float64), torch.ones(seen[0], dtype=torch.float64)
    F.batch_norm(x, mean, variance, training=True)
    norm(x)
    expected = F.batch_norm(x, mean, variance)
    assert_allclose(norm.eval()(x).detach(), expected, rtol=1e-12)
    assert_allclose(norm.running_mean, 0.1 * x.transpose(0, 1).flatten(1).mean(1), rtol=1e-12)
    # In eval mode a sample's output does not depend on the batch.
    assert_allclose(norm(x[:1]).detach(), expected[:1], rtol=1e-12)


@pytest.mark.parametrize(("model", "shape", "seen", "kind"), MODELS)
def test_existing_parameters_keep_name_and_value(
    model: Model, shape: tuple[int, ...], seen: tuple[int, ...], kind: type[nn.Module]
) -> None:
    before = dict(bare(model, shape).named_parameters())
    for gain, added in ((False, {"bias"}), (True, {"bias", "weight"})):
        ours = wrapped(model, shape, gain=gain)
        after = dict(ours.named_parameters())
        assert all(torch.equal(after[name], value) for name, value in before.items())
        new = after.keys() - before.keys()
        assert new == {f"blocks.{i}.norm.{name}" for i in range(len(ours.blocks)) for name in added}


def test_wrapping_does_not_change_the_running_statistics() -> None:
    model, shape, *_ = MODELS[1]
    for block in wrapped(model, shape).blocks:
        assert torch.equal(block.norm.running_mean, torch.zeros_like(block.norm.running_mean))
        assert torch.equal(block.norm.running_var, torch.ones_like(block.norm.running_var))


def test_batch_dependent_finds_the_inserted_layers() -> None:
    model, shape, *_ = MODELS[0]
    assert list(batch_dependent(wrapped(model, shape))) == [f"blocks.{i}.norm" for i in range(3)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_gradient_penalty_refuses_it_in_either_order(order: int) -> None:
    model, shape, *_ = MODELS[0]
    with pytest.raises(Refusal, match=r"gradient_penalty .* 'blocks\.0\.norm'"):
        constrain(bare(model, shape), [BatchNormalization(), GradientPenalty()][::order], shape)


def test_dtype_and_device_match_the_network() -> None:
    model, shape, *_ = MODELS[1]
    norm = wrapped(model, shape).blocks[0].norm
    assert {norm.weight.dtype, norm.bias.dtype, norm.running_mean.dtype, norm.running_var.dtype} == {torch.float64}
    with torch.device("meta"):
        ours = BatchNormalization().wrap(model.build(shape).discriminator, shape)
    assert all(value.is_meta for value in ours.state_dict().values())
    assert ours(torch.empty(2, *shape, device="meta")).shape == (2, 1)


def test_a_network_without_empty_slots_is_refused() -> None:
    model, shape, *_ = MODELS[0]
    with pytest.raises(Refusal, match="batch_normalization fills the 'norm' slots"):
        BatchNormalization().wrap(nn.Linear(2, 1), (2,))
    with pytest.raises(Refusal, match="batch_normalization fills the 'norm' slots"):
        constrain(bare(model, shape), [LayerNormalization(), BatchNormalization()], shape)
