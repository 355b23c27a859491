"""Write results folders of sweeps of the task transport without training. Tests give the cosines that matter."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import PROVENANCE, dump

W1 = 1.5
EXTENT = (-2.5, 2.5, -2.5, 2.5)
LAYERS = ("blocks.0.linear", "blocks.1.linear", "output")
SETTING = {"optimiser": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "n_dis": 1, "decay": "none"}


@dataclass(frozen=True)
class Method:
    """A constraint on a critic with an activation, as a resolved run has it."""

    label: str
    constraint: Mapping[str, Any]
    activation: str = "relu"
    steps: int = 2000

    @property
    def model(self) -> str:
        return "critic" if self.activation == "relu" else f"critic(activation={self.activation})"


CLIPPING = Method(
    "weight_clipping(c=0.04, biases=False, initial=True)",
    {"name": "weight_clipping", "c": 0.04, "biases": False, "initial": True},
    steps=1000,
)
_PENALTY = {"name": "gradient_penalty", "weight": 10.0, "points": "interpolates", "noise": 0.5}
PENALTY = Method("gradient_penalty", _PENALTY | {"one_sided": False})
ONE_SIDED = Method("gradient_penalty(one_sided=True)", _PENALTY | {"one_sided": True})
NORMALIZATION = Method(
    "spectral_normalization(power_iterations=5)",
    {"name": "spectral_normalization", "operator": "reshaped", "coefficient": 1.0, "power_iterations": 5},
)
SORTING = Method("orthogonal", {"name": "orthogonal", "coefficient": 1.0}, "full_sort")
METHODS = (CLIPPING, PENALTY, ONE_SIDED, NORMALIZATION, SORTING)
FINAL = dict(zip([one.label for one in METHODS], (0.10, 0.90, 0.92, 0.40, 0.95), strict=True))


@dataclass(frozen=True)
class Pairs:
    """A sweep of critics.

    Attributes:
        cosines: by (label, dim, width), the cosine of each seed after its last step; others are made up.
        ends: by (label, dim, width, seed), how a run ends; others finish.
        as_published: whether published pairs also have the metrics of the published code.
        rounding: loss of a cosine by the rounded optimal gradient of the published code.
    """

    methods: Sequence[Method] = METHODS
    dims: Sequence[int] = (2, 16)
    widths: Sequence[int] = (4, 64)
    seeds: Iterable[int] = (0, 1, 2)
    published: bool = True
    cosines: Mapping[tuple[str, int, int], Sequence[float]] = field(default_factory=dict)
    ends: Mapping[tuple[str, int, int, int], str] = field(default_factory=dict)
    pictures: bool = True
    as_published: bool = True
    rounding: float = 0.0


def write_pairs(folder: Path, plan: Pairs | None = None) -> Path:
    """Write the results folder ``folder`` and return it."""
    plan = plan or Pairs()
    identifiers = []
    for dim, width, method in product(plan.dims, plan.widths, plan.methods):
        changed = {"dim": (dim, 2), "width": (width, 4), "published": (plan.published, False)}
        said = ", ".join(f"{key}={value}" for key, (value, default) in changed.items() if value != default)
        labels = {
            "task": "transport",
            "dataset": f"funnels({said})" if said else "funnels",
            "model": method.model,
            "constraint": method.label,
            "loss": "wasserstein",
            "setting": "adam(betas=[0.0, 0.9])",
        }
        run = {
            "task": "transport",
            "dataset": {
                **{"name": "funnels", "dim": dim, "width": width, "degree": 8.0, "seed": 0},
                "published": plan.published,
            },
            "model": {"name": "critic", "width": None, "depth": 2, "activation": method.activation},
            "constraints": [method.constraint],
            "loss": "wasserstein",
            "setting": SETTING,
            "training": {"steps": method.steps, "seconds": None, "batch_size": 1024},
            "evaluation": {"every": 500, "samples": 4096, "gradient_samples": 128, "select": None},
        }
        configuration = f"funnels-{dim}-{width}-{method.activation}-{method.label}"
        timing = {"median": 3.0, "low": 2.9, "high": 3.1, "n": 50}
        dump(
            folder / "timing" / f"{configuration}.json",
            {"ms_discriminator_step": timing, "peak_memory": 10.0, "n_dis": 1, "device": "cpu: synthetic"},
        )
        for place, seed in enumerate(plan.seeds):
            identifiers.append(f"{configuration}-{seed}")
            given = plan.cosines.get((method.label, dim, width))
            cosine = given[place] if given else FINAL.get(method.label, 0.5) - 0.001 * dim + 0.01 * place
            end = plan.ends.get((method.label, dim, width, seed), "finished")
            definition = {
                **{"id": identifiers[-1], "configuration": configuration, "labels": labels, "seed": seed},
                **{"steps": method.steps, "run": run},
            }
            _write_run(folder / "runs" / identifiers[-1], definition, cosine, end, plan, plan.pictures and dim == 2)
    dump(folder / "sweep.json", {"name": "pairs", "task": "transport", "runs": identifiers})
    dump(folder / "provenance.json", PROVENANCE)
    return folder


def _write_run(path: Path, definition: dict[str, Any], cosine: float, end: str, plan: Pairs, pictures: bool) -> None:
    dump(path / "run.json", definition)
    if end == "waiting":
        return
    steps = definition["steps"]
    lines = []
    for step in range(0, steps + 1, 500):
        values = evaluate(cosine * step / steps)
        if plan.published and plan.as_published:
            values |= as_published(values, plan.rounding)
        lines += [{"step": step, "seconds": step / 100, "metric": name, "value": v} for name, v in values.items()]
    (path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if end == "running":
        return
    quality = {name: values[name] for name in (*QUALITY, *OPTIMAL) if name in values}
    true = {"w1": W1, "w1_standard_error": 0.001}
    protocol = {"of": "the optimal plan", "samples": 4096}
    result = {
        "status": end,
        "step": steps,
        "last": values if end == "finished" else dict.fromkeys(values),
        "best": {"step": steps, "by": "cosine", "values": quality},
        "floor": {
            "cosine": 1.0,
            "l2": 1e-10,
            "w1_dual": W1,
            "w1_error": 0.01,
            "w1_over_lower": W1,
            "w1_over_upper": W1,
            **{name: value for name, value in OPTIMAL.items() if name in values},
        },
        "protocols": {
            name: protocol
            | (true if name.startswith("w1") else {})
            | ({"of": "independent draws"} if name in OPTIMAL else {})
            for name in quality
        },
    }
    dump(path / "result.json", result)
    found = {f"spectrum/{layer}": np.linspace(1.5, 0.1, 16) for layer in LAYERS[:2]}
    if pictures:
        found |= surfaces(cosine)
    np.savez_compressed(path / "samples.npz", **found)


QUALITY = ("cosine", "l2", "w1_dual", "w1_error", "w1_over_lower", "w1_over_upper")


OPTIMAL = {"cosine_float32": 0.882, "l2_float32": 0.118, "w1_independent": 1.45}
"""Values of the optimal potential by the published code, which loses some gradients to rounding."""


def as_published(values: Mapping[str, float], rounding: float) -> dict[str, float]:
    return {
        "cosine_float32": values["cosine"] - rounding,
        "l2_float32": values["l2"],
        "w1_independent": values["w1_dual"],
    }


def evaluate(cosine: float) -> dict[str, float]:
    """One evaluation of a critic whose Lipschitz constant lies between 0.8 and 2."""
    values = {
        "cosine": cosine,
        "l2": 1 - cosine**2,
        "w1_dual": W1 * cosine,
        "w1_error": abs(1 - cosine),
        "w1_over_lower": W1 * cosine / 0.8,
        "w1_over_upper": W1 * cosine / 2,
    }
    for layer in LAYERS:
        values |= {f"sigma_{kind}/{layer}": 1.2 for kind in ("reshaped", "operator")}
        values[f"effective_rank/{layer}"] = 1.0 if layer == "output" else 12.0
    values |= {f"gradient_norm/{where}": 0.9 for where in ("real", "fake", "interpolated")}
    values |= {f"gradient_norm_max/{where}": 1.1 for where in ("real", "fake", "interpolated")}
    return values | {"lipschitz_lower": 0.8, "lipschitz_upper": 2.0, "loss/discriminator": -W1 * cosine}


def surfaces(cosine: float) -> dict[str, np.ndarray]:
    x, y = np.meshgrid(np.linspace(*EXTENT[:2], 32), np.linspace(*EXTENT[2:], 32))
    true = -np.minimum(np.hypot(x - 1, y), np.hypot(x + 1, y - 1))
    rng = np.random.default_rng(0)
    points = rng.uniform(-2.5, 2.5, (50, 2))
    return {
        "surface": (cosine * true + (1 - cosine) * x).astype(np.float32),
        "surface_true": true.astype(np.float32),
        "surface_extent": np.array(EXTENT, dtype=np.float32),
        "source": (points * 0.3 + math.copysign(1, cosine)).astype(np.float32),
        "target": points.astype(np.float32),
    }
