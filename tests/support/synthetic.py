"""Write results folders of GAN sweeps without training. Methods differ roughly as in the literature."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")
LAYERS = {"mlp": ("linear0", "linear1", "linear2"), "dcgan": ("conv0", "conv1", "conv2", "conv3", "linear")}
WHERE = ("real", "fake", "interpolated", "old", "noise")
FINAL_W1 = dict(zip(METHODS, (1.1, 0.7, 0.16, 0.35, 0.12), strict=True))
FINAL_SIGMA = dict(zip(METHODS, (9.0, 0.08, 2.4, 2.9, 1.0), strict=True))
COST = dict(zip(METHODS, (1.0, 1.01, 1.9, 1.05, 1.03), strict=True))
LAUNCHING = dict(zip(METHODS, (1.0, 1.1, 1.8, 1.6, 1.5), strict=True))
"""Relative costs on a GPU without CUDA graphs, where small kernels take as long as large ones."""


@dataclass(frozen=True)
class Plan:
    """The runs of the synthetic sweep.

    Attributes:
        ends: how single runs end, by (dataset, constraint, seed).
        cuda: whether it was timed on a GPU, with captured iterations and packs of runs.
        uncaptured: by constraint, why its iterations were not captured there.
    """

    datasets: Sequence[str] = ("eight_gaussians", "digits")
    constraints: Sequence[str] = METHODS
    losses: Sequence[str] = ("hinge",)
    settings: Sequence[str] = ("C",)
    seeds: Iterable[int] = (0, 1, 2)
    evaluations: int = 5
    every: int = 400
    ends: dict[tuple[str, str, int], str] = field(default_factory=dict)
    pictures: bool = True
    cuda: bool = False
    uncaptured: Mapping[str, str] = field(default_factory=dict)


def write_sweep(folder: Path, plan: Plan | None = None) -> Path:
    """Write the results folder ``folder`` and return it."""
    plan = plan or Plan()
    identifiers = []
    folder.mkdir(parents=True, exist_ok=True)
    for dataset, loss, setting, constraint in product(plan.datasets, plan.losses, plan.settings, plan.constraints):
        labels = {
            "task": "generation",
            "dataset": dataset,
            "model": "dcgan(width=16)" if is_image(dataset) else "mlp",
            "constraint": constraint,
            "loss": loss,
            "setting": setting,
        }
        configuration = "-".join((dataset, loss, setting, constraint))
        write_timing(folder, configuration, labels, plan)
        for seed in plan.seeds:
            identifiers.append(f"{configuration}-{seed}")
            end = plan.ends.get((dataset, constraint, seed), "finished")
            write_run(folder / "runs" / identifiers[-1], configuration, labels, seed, plan, end)
    dump(folder / "sweep.json", {"name": "synthetic", "task": "generation", "runs": identifiers})
    dump(folder / "provenance.json", PROVENANCE)
    return folder


PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    "command": "lipschitz sweep benchmarks/synthetic.yaml",
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "device": "cpu: synthetic, 2 workers x 1 thread",
    "date": "2024-01-02T03:04:05Z",
    "data": {"digits": "ab" * 32, "eight_gaussians": "cd" * 32},
}


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def is_image(dataset: str) -> bool:
    return "gauss" not in dataset


def behaves_like(constraint: str) -> str:
    """Return the method whose numbers a label with hyperparameters, or a combination, gets."""
    return next((name for name in METHODS if constraint.startswith(name)), "none")


def write_timing(folder: Path, configuration: str, labels: dict[str, str], plan: Plan | None = None) -> None:
    milliseconds = 3.0 * COST[behaves_like(labels["constraint"])] * (2.5 if is_image(labels["dataset"]) else 1)
    timing = {
        "ms_discriminator_step": around(milliseconds),
        "ms_generator_step": {"median": 2.5, "low": 2.4, "high": 2.6, "n": 50},
        "peak_memory": 150.0,
        "n_dis": 1,
        "device": "cpu: synthetic, 1 thread",
    }
    if plan and plan.cuda:
        timing = on_gpu(labels["constraint"], plan)
    dump(folder / "timing" / f"{configuration}.json", timing)


def around(milliseconds: float) -> dict[str, float]:
    return {"median": milliseconds, "low": milliseconds * 0.97, "high": milliseconds * 1.04, "n": 50}


def on_gpu(constraint: str, plan: Plan) -> dict[str, Any]:
    """Return the timing that the serial pass writes on CUDA, for n_dis = 5."""
    method = behaves_like(constraint)
    parts = {"ms_discriminator_step": around(4.0 * LAUNCHING[method]), "ms_generator_step": around(3.0)}
    launched = {
        **parts,
        "peak_memory": 90.0,
        "n_dis": 5,
        "rounds": {name: [part["median"]] * 3 for name, part in parts.items()},
        "device": "cuda: synthetic",
    }
    if constraint in plan.uncaptured:
        return {**launched, "uncaptured": plan.uncaptured[constraint]}
    captured = {
        "ms_discriminator_step": around(0.8 * COST[method]),
        "ms_generator_step": around(0.5),
        "ms_iteration": around(4.2 * COST[method]),
    }
    alone = 1000 / (4.2 * COST[method])
    packs = [
        {"runs": runs, "iterations_per_second": alone * gain, "memory": 90.0 * runs}
        for runs, gain in ((1, 1.0), (2, 1.6), (4, 2.0), (8, 2.02))
    ]
    launched["rounds"] = {name: [part["median"]] * 3 for name, part in captured.items()}
    return {**launched, **captured, "launched": parts, "packs": packs, "pack": 4}


def write_run(path: Path, configuration: str, labels: dict[str, str], seed: int, plan: Plan, end: str) -> None:
    steps = plan.evaluations * plan.every
    identity = {"id": path.name, "configuration": configuration, "labels": labels, "seed": seed, "steps": steps}
    dump(path / "run.json", identity | {"run": {"training": {"steps": steps, "batch_size": 64}}})
    if end == "waiting":
        return
    rng = np.random.default_rng(abs(hash_of(path.name)))
    reached = range(plan.evaluations + 1) if end == "finished" else range(plan.evaluations // 2 + 1)
    lines, values = [], {}
    for index in reached:
        values = evaluate(labels, index / plan.evaluations, rng)
        step, seconds = index * plan.every, round(index * plan.every * 0.006 * rng.uniform(1, 2), 3)
        lines += [
            {"step": step, "seconds": seconds, "metric": name, "value": recorded(value)}
            for name, value in values.items()
        ]
    if end == "diverged":
        lines.append({"step": step + 7, "seconds": seconds, "metric": "loss/discriminator", "value": None})
    (path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if end == "failed":
        (path / "error.txt").write_text("Traceback ...")
        return
    if end == "running":
        return
    quality = {name: value for name, value in values.items() if name in quality_of(labels["dataset"])}
    result = {
        "status": end,
        "step": lines[-1]["step"],
        "seconds": seconds,
        "last": {k: recorded(v) for k, v in values.items()} if end == "finished" else dict.fromkeys(values),
        "best": {"step": step, "by": next(iter(quality)), "values": {k: v * 0.98 for k, v in quality.items()}},
        "floor": {"w1": 0.06 + 0.003 * seed, "modes": 8.0, "high_quality": 0.99}
        if "w1" in quality
        else {"frechet_classifier": 0.8 + 0.05 * seed, "w1_classifier": 1.2},
        "protocols": {name: {"reference": "test", "n_real": 2000, "n_fake": 2000} for name in quality},
    }
    dump(path / "result.json", result)
    if plan.pictures:
        np.savez_compressed(path / "samples.npz", **arrays(labels, rng))


def recorded(value: float) -> float | str:
    """Return infinity as the string "inf", as in records."""
    return "inf" if value == math.inf else value


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[-8:], "big")


def quality_of(dataset: str) -> tuple[str, ...]:
    return ("frechet_classifier", "w1_classifier") if is_image(dataset) else ("w1", "modes", "high_quality")


def evaluate(labels: dict[str, str], progress: float, rng: np.random.Generator) -> dict[str, float]:
    """Return an evaluation: about thirty values between a common start and the method's final values."""
    method = behaves_like(labels["constraint"])
    noise = lambda: float(rng.lognormal(0, 0.12))  # noqa: E731
    sigma_end = FINAL_SIGMA[method] * 1.3 ** (len(labels["constraint"]) - len(method) > 0)
    distance = 3.0 * (FINAL_W1[method] / 3.0) ** (progress**0.5) * noise()
    if is_image(labels["dataset"]):
        values = {"frechet_classifier": 40 * distance, "w1_classifier": 4 * distance + 1}
    else:
        values = {
            "w1": distance,
            "modes": float(np.clip(round(9 - 4 * distance), 0, 8)),
            "high_quality": float(np.clip(1 - 0.4 * distance, 0, 1)),
        }
    layers = LAYERS["dcgan" if is_image(labels["dataset"]) else "mlp"]
    start = 1.0 if method == "spectral_normalization" else 1.4
    for depth, layer in enumerate(layers):
        sigma = start * (sigma_end / start) ** progress * noise() ** 0.3 * (1 + 0.1 * depth)
        values[f"sigma_reshaped/{layer}"] = sigma
        values[f"effective_rank/{layer}"] = 10.0 * 2**depth / sigma**0.2
        values[f"sigma_operator/{layer}"] = sigma * (1.7 if "conv" in layer else 1.0)
    bound = (1.2 * (sigma_end / 1.2) ** progress) ** 1.5
    values["lipschitz_lower"] = bound * noise() * 1.2
    values["lipschitz_upper"] = math.inf if method == "gradient_penalty" else 40 * bound * noise()
    for where in WHERE:
        outside = where in ("old", "noise") and method == "gradient_penalty"
        norm = (1.0 if method == "gradient_penalty" else bound) * (3.5 if outside else 0.8) * noise()
        values[f"gradient_norm/{where}"] = norm
        values[f"gradient_norm_max/{where}"] = norm * 1.6
    values["loss/discriminator"] = 1.8 * noise()
    values["loss/generator"] = 0.3 * noise()
    return values


def arrays(labels: dict[str, str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    method = behaves_like(labels["constraint"])
    layers = LAYERS["dcgan" if is_image(labels["dataset"]) else "mlp"]
    found = {
        f"spectrum/{layer}": FINAL_SIGMA[method] * np.sort(rng.beta(1.2, 3, 16 * 2**i))[::-1] ** (0.5 + i / 4)
        for i, layer in enumerate(layers)
    }
    if is_image(labels["dataset"]):
        found |= {"samples": digits(rng, FINAL_W1[method]), "real": digits(rng, 0.05)}
        return found
    grid = np.linspace(-2, 2, 64, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    found |= {
        "samples": ring(rng, 2000, 0.05 + 0.2 * FINAL_W1[method]),
        "real": ring(rng, 2000, 0.05),
        "surface": (FINAL_SIGMA[method] * np.cos(4 * np.arctan2(y, x)) * np.hypot(x, y)).astype(np.float32),
        "surface_extent": np.array([-2, 2, -2, 2], dtype=np.float32),
    }
    return found


def ring(rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    angle = rng.integers(0, 8, n) * np.pi / 4
    return (np.stack([np.cos(angle), np.sin(angle)], 1) * 1.4 + spread * rng.normal(size=(n, 2))).astype(np.float32)


def digits(rng: np.random.Generator, noise: float) -> np.ndarray:
    """Return noisy images (64, 8, 8, 1) of bright rings and bars."""
    y, x = np.mgrid[-3.5:4, -3.5:4]
    ring, bar = np.abs(np.hypot(x, 1.3 * y) - 2.5) < 0.8, np.abs(x) < 1
    images = np.where(np.arange(64)[:, None, None] % 3, ring, bar)[..., None].astype(float)
    return np.clip(255 * (images + 0.4 * noise * rng.normal(size=images.shape)), 0, 255).astype(np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a report by path, without those of the runs and timings."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in ("runs", "timing")
    }
