"""The task transport with a small critic, a translation as a pair of distributions, and a linear critic."""

import torch
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.transport.funnels import Funnels
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.models.activations import Activation
from lipschitz.models.critic import Critic
from lipschitz.tasks.losses import GANLoss, Wasserstein
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Evaluation, Terms, Training
from lipschitz.tasks.transport.critic_training import CriticTraining

CPU = torch.device("cpu")

FUNNELS = Funnels(dim=2, width=4).load(None, CPU)

DISTANCE = 1.5

SETTING = Setting(lr=1e-3, betas=(0.0, 0.9))


def translation(dimension: int = 3) -> PairData:
    """Q is standard normal; P is Q moved by `DISTANCE` along the first axis."""
    direction = torch.eye(dimension, dtype=torch.float64)[0]
    return PairData(
        dimension,
        lambda n, rng, dtype: torch.randn(n, dimension, generator=rng, dtype=dtype),
        lambda y: y + DISTANCE * direction.to(y.dtype),
        lambda x: x @ direction.to(x.dtype),
        lambda y: direction.to(y.dtype).expand_as(y),
        DISTANCE,
        0.0,
        "translation",
    )


def transport(
    *constraints: Constraint,
    data: PairData = FUNNELS,
    activation: Activation = "relu",
    setting: Setting = SETTING,
    seed: int = 0,
    selection: str = "cosine",
    precision: Precision = "float32",
    device: torch.device = CPU,
    loss: GANLoss | None = None,
) -> CriticTraining:
    return CriticTraining(
        data,
        Terms(
            Critic(width=16, activation=activation),
            constraints or (NoConstraint(),),
            loss or Wasserstein(),
            setting,
            seed,
            Training(steps=100, batch_size=32, precision=precision),
            Evaluation(samples=128, gradient_samples=16),
            selection=selection,
            device=device,
        ),
    )


def linear_critic(*weights: float, bias: float = 0.3) -> nn.Sequential:
    layer = nn.Linear(len(weights), 1)
    layer.weight.data, layer.bias.data = torch.tensor([weights]), torch.tensor([bias])
    return nn.Sequential(layer)
