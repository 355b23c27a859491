"""Settings: the optimiser's hyperparameters, an axis of their own."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt, Strict
from torch import Tensor

from lipschitz.config import Config

IN_CACHES = 2**20
"""Parameters that a CPU core's caches hold together with their gradients and RMSProp's averages."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class Setting(Config):
    """Optimiser of both networks, and discriminator updates per generator update."""

    source: ClassVar[str] = "Miyato et al. 2018, arXiv:1802.05957, Table 1"

    optimiser: Literal["adam", "rmsprop"] = "adam"
    """Adam (arXiv:1412.6980), or RMSProp as in the WGAN paper (arXiv:1701.07875, Algorithm 1)."""
    lr: PositiveFloat = 2e-4
    """α, the learning rate."""
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.5, 0.999)
    """Adam's β1 and β2; RMSProp has none."""
    n_dis: PositiveInt = 1
    """Discriminator updates per generator update."""
    discriminator_lr: PositiveFloat | None = None
    """α of the discriminator where it has one of its own (Heusel et al. 2017, arXiv:1706.08500); null for ``lr``."""
    decay: Literal["none", "linear"] = "none"
    """``linear``: the learning rate falls linearly to zero over the run."""

    def build(self, parameters: Iterable[torch.nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``, on CUDA as a graph can hold it.

        A learning rate that decays is a tensor: on CUDA of float32, as the fused kernel reads it there.
        """
        on_cuda = device.type == "cuda"
        lr: float | Tensor = self.lr
        if self.decay != "none":
            lr = torch.tensor(self.lr, dtype=torch.float32 if on_cuda else torch.float64, device=device)
        if self.optimiser == "rmsprop":
            # On a CPU one parameter after the other is quicker where not all of them stay in its caches.
            parameters = list(parameters)
            at_once = on_cuda or sum(parameter.numel() for parameter in parameters) < IN_CACHES
            return torch.optim.RMSprop(parameters, lr=lr, foreach=at_once, capturable=on_cuda)
        return torch.optim.Adam(parameters, lr=lr, betas=self.betas, fused=True, capturable=on_cuda)

    def lr_at(self, progress: float | Tensor) -> float | Tensor:
        """Return the learning rate after the share ``progress`` in [0, 1] of the run; of its kind if it decays."""
        return self.lr * (1 - progress) if self.decay == "linear" else self.lr

    def label(self) -> str:
        """Return the letter of SN-GAN's setting with these values, else the fields."""
        for letter, setting in SETTINGS.items():
            if setting == self:
                return letter
        shown = self.model_dump(mode="json", exclude_defaults=True, exclude={"optimiser"})
        return f"{self.optimiser}({', '.join(f'{key}={value}' for key, value in shown.items())})"


SETTINGS: dict[str, Setting] = {
    "A": Setting(lr=1e-4, betas=(0.5, 0.9), n_dis=5),
    "B": Setting(lr=1e-4, betas=(0.5, 0.999), n_dis=1),
    "C": Setting(lr=2e-4, betas=(0.5, 0.999), n_dis=1),
    "D": Setting(lr=1e-3, betas=(0.5, 0.9), n_dis=5),
    "E": Setting(lr=1e-3, betas=(0.5, 0.999), n_dis=5),
    "F": Setting(lr=1e-3, betas=(0.9, 0.999), n_dis=5),
}
"""SN-GAN's settings A to F."""
