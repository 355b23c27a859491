"""Modules that are accepted as 1-Lipschitz, and counterexamples for modules that are rejected."""

import math

import pytest
import torch
from torch import Tensor, nn

from lipschitz.constraints.one_lipschitz import why_not_one_lipschitz
from lipschitz.models.dropout import Dropout
from lipschitz.models.group_sort import GroupSort

KNOWN = [
    nn.Identity(),
    nn.Flatten(),
    nn.Unflatten(1, (2, 2)),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(0.1),
    nn.LeakyReLU(-1.0),
    nn.ELU(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.LogSigmoid(),
    nn.Softsign(),
    nn.Softplus(),
    nn.MaxPool2d(2),
    nn.MaxPool2d(2, (3, 2), padding=1, ceil_mode=True),
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, 1, padding=1),
    nn.AvgPool2d(2, padding=1, count_include_pad=False),
    nn.AvgPool2d(2, ceil_mode=True),
    nn.AdaptiveAvgPool2d(1),
    nn.Softmax(1),
    GroupSort(),
    nn.Dropout(0.5).eval(),
    nn.Dropout2d(0.5).eval(),
    Dropout(0.5).eval(),
]
UNKNOWN = [
    (nn.LeakyReLU(1.5), "its Lipschitz constant 1.5 exceeds one"),
    (nn.ELU(alpha=2.0), "its Lipschitz constant 2 exceeds one"),
    (nn.Softplus(threshold=1), "it has no finite Lipschitz constant"),
    (nn.MaxPool2d(3, 2), "its windows overlap"),
    (nn.MaxPool2d(2, 2, dilation=2), "its windows overlap"),
    (nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), "its windows overlap, and divide by fewer pixels"),
    (nn.AvgPool1d(3, 2, ceil_mode=True), "its windows overlap, and divide by fewer pixels"),
    (nn.AvgPool2d(2, divisor_override=1), "it has a divisor_override"),
    (nn.AdaptiveAvgPool2d((1, 2)), "its windows may overlap"),
    (nn.AlphaDropout(0.5).eval(), "it has no finite Lipschitz constant"),
    (nn.RReLU().eval(), "it has no finite Lipschitz constant"),
    (nn.GELU(), "its Lipschitz constant 1.129 exceeds one"),
    (nn.Upsample(scale_factor=2), "its Lipschitz constant is not known"),
    (nn.Hardshrink(), "its Lipschitz constant is not known"),
    (nn.BatchNorm2d(4), "it divides by a standard deviation"),
    (nn.InstanceNorm1d(4), "it divides by a standard deviation"),
    (nn.GroupNorm(1, 4), "it divides by a standard deviation"),
    (nn.LayerNorm(4, elementwise_affine=False), "it divides by a standard deviation"),
    (nn.PReLU(), "nothing bounds its parameters"),
    (nn.Conv3d(1, 1, 1), "nothing bounds its parameters"),
    (nn.Bilinear(2, 2, 2), "nothing bounds its parameters"),
    (nn.GRU(2, 2), "nothing bounds its parameters"),
    (nn.MultiheadAttention(2, 1), "it is not known how its forward combines its children"),
    (nn.ModuleList([nn.ReLU()]), "it is not known how its forward combines its children"),
]


def named(module: nn.Module) -> str:
    return repr(module).partition("\n")[0]


def quotient(module: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the largest difference quotient over the samples of a batch."""
    after, before = (module(x) - module(y)).flatten(1).norm(dim=1), (x - y).flatten(1).norm(dim=1)
    return (after / before).max().item()


@pytest.mark.parametrize("module", KNOWN, ids=named)
def test_accepted_modules_are_one_lipschitz(module: nn.Module) -> None:
    assert why_not_one_lipschitz(module) is None
    torch.manual_seed(0)
    for scale in (0.1, 1.0, 10.0):
        x = scale * torch.randn(500, 4, 6, 6, dtype=torch.float64)
        for step in (1e-3, 1.0):
            y = x + step * torch.randn_like(x)
            # Also shift all pixels of a channel together, a direction that a module may stretch more than others.
            lines = x + step * torch.randn(500, 4, 1, 1, dtype=torch.float64)
            assert max(quotient(module, x, y), quotient(module, x, lines)) <= 1 + 1e-9


@pytest.mark.parametrize(("module", "reason"), UNKNOWN, ids=[named(module) for module, _ in UNKNOWN])
def test_rejected_modules_have_a_reason(module: nn.Module, reason: str) -> None:
    assert (why_not_one_lipschitz(module) or "").startswith(reason)


@pytest.mark.parametrize(
    ("module", "x", "y"),
    [
        # Max pooling: the middle pixel is the maximum of both windows. Average pooling: the windows have 2, 3 and 2
        # pixels, so the middle pixel has weights 1/2, 1/3 and 1/2.
        (nn.MaxPool1d(2, 1), [0.0, 1.0, 0.0], [0.0, 2.0, 0.0]),
        (nn.AvgPool1d(3, 1, padding=1, count_include_pad=False), [1.0, 1.2, 1.0], [0.0, 0.0, 0.0]),
        (nn.Softplus(threshold=1), [0.999], [1.001]),
        (nn.GELU(), [1.4], [1.5]),
        (nn.AdaptiveAvgPool1d(2), [1.0], [0.0]),
        (nn.LayerNorm(2, elementwise_affine=False), [0.0, 0.1], [0.1, 0.0]),
    ],
    ids=lambda value: named(value) if isinstance(value, nn.Module) else "",
)
def test_counterexamples_of_rejected_modules(module: nn.Module, x: list[float], y: list[float]) -> None:
    assert why_not_one_lipschitz(module) is not None
    assert quotient(module, torch.tensor([[x]]), torch.tensor([[y]])) > 1.01


def test_dropout_is_accepted_for_its_eval_mode_and_no_subclass_with_a_forward_of_its_own() -> None:
    class Noise(nn.Dropout):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * x

    kept = Dropout(0.5)
    assert why_not_one_lipschitz(kept) is None
    assert quotient(kept, torch.ones(1, 50), torch.zeros(1, 50)) > 1.01, "in training it is not 1-Lipschitz"
    assert quotient(kept.eval(), torch.ones(1, 50), torch.zeros(1, 50)) == 1
    assert why_not_one_lipschitz(Noise()) is not None


def test_a_module_may_declare_its_constant() -> None:
    class Halved(nn.Module):
        lipschitz_constant = 0.5

        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(2, 2)

    assert why_not_one_lipschitz(Halved()) is None
    Halved.lipschitz_constant = 1.5
    assert why_not_one_lipschitz(Halved()) == "its Lipschitz constant 1.5 exceeds one"
    for constant in (math.inf, math.nan):
        Halved.lipschitz_constant = constant
        assert why_not_one_lipschitz(Halved()) == "it has no finite Lipschitz constant"


def test_a_subclass_with_a_custom_forward_is_rejected() -> None:
    class Renamed(nn.ReLU):
        pass

    class Doubled(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    assert why_not_one_lipschitz(Renamed()) is None
    assert why_not_one_lipschitz(Doubled()) is not None
