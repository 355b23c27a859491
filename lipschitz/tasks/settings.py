"""Settings of training: learning rate and its decay, Adam's betas, n_dis; SN-GAN's settings A to F."""

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, Strict
from torch import Tensor

from lipschitz.config import Config, Iterations
from lipschitz.extensions.entry import entry_error, entry_of
from lipschitz.tasks.optimisers import OPTIMISERS, Adam, Optimiser

Beta = Annotated[float, Field(ge=0, lt=1)]
LearningRate = Annotated[float, Field(ge=1e-12, le=10)]


def _without_fields_of_settings(optimiser: Optimiser) -> Optimiser:
    """Refuse an optimiser with a field that a setting has: its label could not tell them apart."""
    if both := sorted(type(optimiser).model_fields.keys() & Setting.model_fields.keys()):
        raise entry_error(
            f"optimiser {optimiser.name()} and settings both have the field '{both[0]}'; rename that of the optimiser"
        )
    return optimiser


class Setting(Config):
    """Optimiser of both networks, and discriminator updates per generator update."""

    source = "Miyato et al. 2018, arXiv:1802.05957, Table 1"

    optimiser: Annotated[
        Optimiser, *entry_of(OPTIMISERS, Optimiser.entry), AfterValidator(_without_fields_of_settings)
    ] = Field(default=Adam(), json_schema_extra={"default": Adam.name()})
    """Optimiser: adam (arXiv:1412.6980), or rmsprop as in the WGAN paper (arXiv:1701.07875, Algorithm 1)."""
    lr: LearningRate = 2e-4
    """Learning rate α."""
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.5, 0.999)
    """β1 and β2 of Adam; rmsprop does not use them."""
    n_dis: Iterations = 1
    """Discriminator updates per generator update."""
    discriminator_lr: LearningRate | None = None
    """Learning rate of the discriminator (two time scales: Heusel et al. 2017, arXiv:1706.08500); null for lr."""
    decay: Literal["none", "linear"] = "none"
    """Learning rate schedule. none: constant. linear: linear decay to zero at the end of the run."""

    def build(self, parameters: Iterable[torch.nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
        """Return torch's optimiser of ``parameters``; on CUDA a graph can capture its step.

        A learning rate that decays is a tensor: float32 on CUDA, which the fused kernel requires, else float64.
        """
        on_cuda = device.type == "cuda"
        lr: float | Tensor = self.lr
        if self.decay != "none":
            lr = torch.tensor(self.lr, dtype=torch.float32 if on_cuda else torch.float64, device=device)
        return self.optimiser.build(list(parameters), lr, self.betas, on_cuda=on_cuda)

    def lr_at(self, progress: float | Tensor) -> float | Tensor:
        """Return the learning rate after the share ``progress`` in [0, 1] of the run."""
        return self.lr * (1 - progress) if self.decay == "linear" else self.lr

    def label(self) -> str:
        """Return the letter of the equal setting of SN-GAN; if there is none, optimiser and changed fields."""
        for letter, setting in SETTINGS.items():
            if setting == self:
                return letter
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"optimiser"}) | self.optimiser.changed()
        return f"{self.optimiser.name()}({', '.join(f'{key}={value}' for key, value in fields.items())})"


SETTINGS: dict[str, Setting] = {
    "A": Setting(lr=1e-4, betas=(0.5, 0.9), n_dis=5),
    "B": Setting(lr=1e-4, betas=(0.5, 0.999), n_dis=1),
    "C": Setting(lr=2e-4, betas=(0.5, 0.999), n_dis=1),
    "D": Setting(lr=1e-3, betas=(0.5, 0.9), n_dis=5),
    "E": Setting(lr=1e-3, betas=(0.5, 0.999), n_dis=5),
    "F": Setting(lr=1e-3, betas=(0.9, 0.999), n_dis=5),
}
"""SN-GAN's settings A to F."""
