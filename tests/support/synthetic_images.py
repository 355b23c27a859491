"""Write results folders of sweeps of image GANs without training. Tests give every final number."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthetic import PROVENANCE, dump

FID, SCORE = "fid/sngan", "inception_score/sngan"
NETWORK = {"preprocessing": "pytorch_fid", "quantisation": "8 bit"}
FLOORS = {FID: 7.5, SCORE: 11.0}
SETTINGS = {
    "A": {"lr": 1e-4, "betas": [0.5, 0.9], "n_dis": 5},
    "C": {"lr": 2e-4, "betas": [0.5, 0.999], "n_dis": 1},
    "gentle": {"lr": 1e-4, "betas": [0.0, 0.9], "n_dis": 1},
    "residual": {"lr": 2e-4, "betas": [0.0, 0.9], "n_dis": 5, "decay": "linear"},
}
DCGAN = {"name": "dcgan", "conditional": False, "width": 64, "latent": 128, "activation": "leaky_relu"}
RESNET = {
    **{"name": "resnet", "conditional": False, "layout": "auto", "width": None, "latent": 128, "activation": "relu"},
    **{"special_first_block": True, "attention": None},
}
CIFAR10, STL10 = {"name": "cifar10"}, {"name": "stl10", "size": 48, "resize": "bilinear"}
SN = {"name": "spectral_normalization", "operator": "reshaped", "coefficient": 1.0, "power_iterations": 1}
PENALTY = {"name": "gradient_penalty", "weight": 10.0, "one_sided": False, "points": "interpolates", "noise": 0.5}
CLIPPING = {"name": "weight_clipping", "c": 0.01, "biases": True, "initial": False}
LAYER_NORM = {"name": "layer_normalization", "gain": False}
ORTHONORMAL = {"name": "orthonormal_regularization", "weight": 1e-3, "norm": "frobenius"}


@dataclass(frozen=True)
class Gan:
    """A configuration and the final values of each seed. A seed with the value None diverged."""

    constraint: Mapping[str, Any] = field(default_factory=lambda: SN)
    loss: str = "non_saturating"
    values: Mapping[str, Sequence[float | None]] = field(default_factory=lambda: {FID: (28.0, 29.0, 30.0)})
    dataset: Mapping[str, Any] = field(default_factory=lambda: CIFAR10)
    model: Mapping[str, Any] = field(default_factory=lambda: DCGAN)
    setting: str = "C"
    steps: int = 100_000
    training: Mapping[str, Any] = field(default_factory=dict)
    also: Sequence[Mapping[str, Any]] = ()
    """Further constraints on the discriminator."""
    generator: Sequence[Mapping[str, Any]] = ()
    label: str | None = None
    """Label of the constraint; by default its name."""
    first_seed: int = 0

    @property
    def configuration(self) -> str:
        """The identifier that all seeds share."""
        return f"gan-{hashlib.sha256(json.dumps([self.labels(), self.run()]).encode()).hexdigest()[:8]}"

    @property
    def ids(self) -> list[str]:
        """One for each seed."""
        return [
            f"{self.configuration}-s{self.first_seed + index}" for index in range(len(next(iter(self.values.values()))))
        ]

    def labels(self) -> dict[str, str]:
        """The labels of the axes, as tables show them."""
        return {
            "task": "generation",
            "dataset": self.dataset["name"],
            "model": self.model["name"] + " with SN in G" * bool(self.generator),
            "constraint": self.label or self.constraint["name"],
            "loss": self.loss,
            "setting": self.setting,
        }

    def run(self) -> dict[str, Any]:
        """The run with all defaults, as in run.json."""
        setting = {"optimiser": "adam", "discriminator_lr": None, "decay": "none", **SETTINGS[self.setting]}
        training = {"steps": self.steps, "batch_size": 64, "generator_batch_size": None, **self.training}
        return {
            "task": "generation",
            "dataset": dict(self.dataset),
            "model": dict(self.model),
            "constraints": [dict(self.constraint), *map(dict, self.also)],
            "generator_constraints": [dict(one) for one in self.generator],
            "loss": self.loss,
            "setting": setting,
            "training": training,
            "evaluation": {},
        }


def facts_of(name: str) -> dict[str, Any]:
    """Return the protocol of a metric: what its numbers depend on."""
    if "/" not in name:
        return {"reference": "held-out images", "n_real": 10_000, "n_fake": 5_000}
    metric, protocol, *average = name.split("/")
    modern = protocol.startswith("modern")
    facts: dict[str, Any] = {"protocol": protocol, **NETWORK}
    if metric == "inception_score":
        facts |= {"n_fake": 50_000, "splits": 10}
    else:
        n_real = 8_000 if "n_real=8000" in protocol else 50_000 if modern else 10_000
        reference = "training images" if modern else "held-out images"
        facts |= {"reference": reference, "n_real": n_real, "n_fake": 50_000 if modern else 5_000}
    return facts | ({"generator": "moving average of its weights"} if average else {})


def write_gans(folder: Path, gans: Sequence[Gan], chosen: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Write the results folder ``folder`` and return it; ``chosen`` holds how settings were selected."""
    for gan in gans:
        for index, identifier in enumerate(gan.ids):
            _write(folder / "runs" / identifier, gan, index)
    identifiers = [identifier for gan in gans for identifier in gan.ids]
    dump(folder / "sweep.json", {"name": "gans", "task": "generation", "runs": identifiers, "chosen": list(chosen)})
    dump(folder / "provenance.json", PROVENANCE)
    return folder


def _write(path: Path, gan: Gan, index: int) -> None:
    seed = gan.first_seed + index
    identity = {"id": path.name, "configuration": gan.configuration, "labels": gan.labels(), "seed": seed}
    dump(path / "run.json", identity | {"steps": gan.steps, "run": gan.run()})
    last = {name: values[index] for name, values in gan.values.items()}
    status = "diverged" if None in last.values() else "finished"
    lines = [{"step": gan.steps, "seconds": 1.0, "metric": name, "value": value} for name, value in last.items()]
    (path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = dict.fromkeys(last, 1.0)
    result = {
        "status": status,
        "step": gan.steps,
        "seconds": 1.0,
        "last": last,
        "best": {"step": gan.steps, "by": next(iter(last)), "values": best},
        "floor": {name: FLOORS.get(name, 9.0) for name in last},
        "protocols": {name: facts_of(name) for name in last},
    }
    dump(path / "result.json", result)
