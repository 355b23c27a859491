"""A task small enough to follow by hand: its state is a number that each step moves."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from lipschitz.training.task import BestStepRule, Task


class Counter(Task):
    """Adds one a step; its metric falls to zero at step 120 and rises again; may diverge at a given step."""

    def __init__(self, diverges_at: int = 10**9) -> None:
        self.device = torch.device("cpu")
        self.selection = BestStepRule("distance", "lower")
        self.value = torch.zeros(1)
        self.diverges_at = diverges_at
        self.progress: list[float] = []
        self.draws: list[str] = []

    def step(self, progress: float | torch.Tensor) -> None:
        self.value += 1
        self.progress.append(float(progress))
        if self.value >= self.diverges_at:
            self.value.fill_(torch.nan)

    def parts(self) -> Mapping[str, Callable[[], None]]:
        return {}

    def is_finite(self) -> bool:
        return bool(torch.isfinite(self.value).all())

    def evaluate(self, draw: str) -> dict[str, float]:
        self.draws.append(draw)
        return {"distance": abs(float(self.value) - 120), "undefined": float("nan")}

    def keep_for_next_evaluation(self) -> None:
        pass

    def facts(self) -> dict[str, Any]:
        return {"floor": {"distance": 0.0, "undefined": math.nan}, "protocols": {}}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"samples": self.value.numpy().copy()}

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value.copy_(state["value"])

    def snapshot(self) -> dict[str, Any]:
        return {"value": self.value.clone()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        self.value.copy_(snapshot["value"])
