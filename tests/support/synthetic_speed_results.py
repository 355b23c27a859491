"""Synthetic results of ``benchmarks/speed.py`` on a GPU, for tests of its tables, goals and figures."""

from typing import Any

METHODS = ("none", "weight_clipping", "gradient_penalty", "spectral_normalization", "bjorck", "orthogonal")
BROKEN, UNCAPTURABLE = "bjorck", "orthogonal"
UNCAPTURED, CAPTURED = 12.0, {64: 1.25, 16: 0.4}
"""Milliseconds of an iteration without a constraint."""


def timing(median: float) -> dict[str, float]:
    return {"median": median, "low": 0.95 * median, "high": 1.05 * median, "n": 30}


def parts(discriminator: float, iteration: float) -> dict[str, Any]:
    return {
        "ms_discriminator_step": timing(discriminator),
        "ms_generator_step": timing(iteration - discriminator),
        "ms_iteration": timing(iteration),
    }


def provenance(device: str) -> dict[str, Any]:
    return {
        "device": device,
        "versions": {"torch": "0"},
        "commit": "c0ffee",
        "dirty": False,
        "date": "2000-01-01",
        "command": "speed.py",
    }


def cuda() -> dict[str, Any]:
    cells: dict[str, Any] = {"rate/tf32": 400.0}
    planned = ["rate/tf32", "rate/float32"]
    gflop = {"ms_discriminator_step": 90.0, "ms_generator_step": 80.0, "ms_iteration": 170.0}
    for name in METHODS:
        cells |= {
            f"turns/{name}": 0.0,
            f"captured/{name}": "RuntimeError: no" if name in (BROKEN, UNCAPTURABLE) else 3e-8,
        }
        planned += [f"turns/{name}", f"captured/{name}"]
    for width, captured in CAPTURED.items():
        for index, name in enumerate(METHODS):
            more = 1 + 0.02 * index
            key = f"times/tf32/{width}/{name}"
            cells[key] = {"gflop": gflop, "launched": parts(6 * more, UNCAPTURED * more)}
            planned.append(key)
            if name not in (BROKEN, UNCAPTURABLE):
                cells[key]["captured"] = parts(captured / 2 * more, captured * more)
                cells[f"packs/tf32/{width}/{name}"] = [
                    {"runs": runs, "iterations_per_second": speed / captured, "memory": 100.0 * runs}
                    for runs, speed in ((1, 1000.0), (2, 1500.0), (4, 1600.0))
                ]
    workload = {"size": 32, "batch_size": 64}
    return {
        "workload": workload,
        "provenance": provenance("cuda: made up; 1 worker"),
        "cells": cells,
        "planned": planned,
    }


def peers() -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"peer": peer, "width": width, "step": step, "ratio": timing(ratio)}
        for peer, ratio in (("torch_parametrization", 0.8), ("torch_in_our_step", 0.9), ("wgan_gp", 1.02))
        for width in (16, 64)
        for step in ("discriminator", "iteration")
    ]
    rows.append({"peer": "torchgan", "width": 16, "refused": "not installed"})
    return {"provenance": provenance("cpu: made up; 1 worker"), "rows": rows}


def plain_classifier() -> dict[str, Any]:
    rows = [
        {"network": "mlp_classifier", "optimiser": name, "ratio": timing(ratio)}
        for name, ratio in (("a", 0.9), ("b", 1.01))
    ]
    return {"provenance": provenance("cpu: made up; 1 worker"), "rows": rows}
