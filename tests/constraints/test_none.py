import torch
from torch import nn

from lipschitz.constraints.base import Batch
from lipschitz.constraints.none import NoConstraint


def test_all_hooks_do_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    constraint = NoConstraint()
    assert constraint.wrap(net, (2,)) is net
    constraint.update(net)
    constraint.track(net, Batch(torch.ones(1, 2), None))
    assert constraint.penalty(net, Batch(torch.ones(1, 2), None), torch.Generator()) == 0
    constraint.project(net)
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
