"""Batch normalization folded into the layer before it: the same function, and what cannot be folded is refused."""

import pytest
import torch
from torch import nn

from lipschitz.constraints.norm_slots import freeze_gain
from lipschitz.estimation.batch_norm_folding import fold_batch_norm


def network() -> nn.Sequential:
    """Return layers of each kind whose batch normalizations have had some training."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False),
        nn.Identity(),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        nn.BatchNorm2d(6, affine=False),
        nn.Flatten(),
        nn.Linear(6 * 36, 5),
        nn.BatchNorm1d(5, eps=0.1),
        nn.Linear(5, 3),
    ).double()
    with torch.no_grad():
        for norm in (net[2], net[8]):
            norm.weight.normal_()
            norm.bias.normal_()
        for _ in range(3):
            net(3 * torch.randn(16, 2, 6, 6).double() + 1)
    return net.eval().requires_grad_(False)


def test_the_function_stays_and_the_normalizations_are_the_identity() -> None:
    net, x = network(), torch.randn(4, 2, 6, 6).double()
    expected = net(x)
    assert fold_batch_norm(net, (2, 6, 6))
    torch.testing.assert_close(net(x), expected)
    for norm, size in ((net[2], (3, 3)), (net[5], (3, 3)), (net[8], ())):
        values = torch.randn(2, norm.num_features, *size).double()
        torch.testing.assert_close(norm(values), values)
        assert norm.eps > 0, "a GPU refuses zero"


def test_a_gain_that_is_not_trained_is_folded() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double().eval().requires_grad_(False)
    freeze_gain(net[1])
    net[1].running_var.fill_(4)
    x = torch.randn(4, 2).double()
    expected = net(x)
    assert fold_batch_norm(net, (2,))
    torch.testing.assert_close(net(x), expected)


def test_the_weight_has_the_scale_of_each_channel() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2, eps=0)).double().eval().requires_grad_(False)
    net[0].weight.fill_(3)
    net[1].running_var.copy_(torch.tensor([4.0, 0.25]))
    net[1].weight.copy_(torch.tensor([1.0, -1.0]))
    assert fold_batch_norm(net, (1,))
    assert net[0].weight.tolist() == [[1.5], [-6]]


def test_a_network_without_normalization_is_unchanged() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    weight = net[0].weight
    assert not fold_batch_norm(net, (2,))
    assert net[0].weight is weight


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.BatchNorm1d(2)), "'2' does not normalise the output of one"),
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "'1' normalises by the statistics of its input"),
        (nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (1, 2)), nn.InstanceNorm1d(1)), "'2' normalises by the"),
        (nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1, track_running_stats=False)), "'1' normalises by the"),
        # At each of two positions: the norm's channels are the positions.
        (nn.Sequential(nn.Unflatten(1, (2, 1)), nn.Linear(1, 3), nn.BatchNorm1d(2)), "'2' does not normalise"),
    ],
)
def test_other_normalizations_are_refused(net: nn.Module, message: str) -> None:
    shape = (1, 2) if isinstance(net[0], nn.Conv1d) else (2,)
    with pytest.raises(ValueError, match=message):
        fold_batch_norm(net.eval(), shape)


def test_a_shared_layer_is_refused() -> None:
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.BatchNorm1d(2), layer, nn.BatchNorm1d(2)).eval()
    with pytest.raises(ValueError, match="'1' does not normalise the output of one"):
        fold_batch_norm(net, (2,))
