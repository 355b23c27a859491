"""Compare estimators of a layer's σ, the largest singular value: error against time. See ``--help``.

The layers are those of SN-GAN's discriminator after some training steps. Warm starts come from the same network some
steps earlier, as in training. The reference is the SVD for the reshaped kernel, and for the operator a Lanczos
iteration in float64 to a residual of 1e-10.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from estimators_plot import draw
from result_files import write_result
from torch import Tensor, nn
from workload import dcgan_training, noise_images

from lipschitz.constraints.none import NoConstraint
from lipschitz.estimation.layers import WeightedLayer, input_shapes, reshaped_weight
from lipschitz.estimation.sigma.lanczos import LinearMap, leading_singular_value
from lipschitz.estimation.sigma.operators import adjoint, linear_part
from lipschitz.estimation.upper_bound.gram_iteration import operator_bound, overlap_factor
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance

STEPS = (1, 2, 5, 10, 20, 50, 100)
GRAM_STEPS = (1, 2, 3, 4, 5, 6, 7)
HEADINGS = ("layer", "of", "estimator", "iterations", "relative error", "ms")


class Estimate(NamedTuple):
    """The error and time of one estimator on one layer."""

    layer: str
    of: str
    estimator: str
    iterations: int | None
    error: float
    """Relative error, positive where the estimate is too large."""
    ms: float


class Estimator(NamedTuple):
    """A function that returns an estimate of σ."""

    name: str
    iterations: int | None
    call: Callable[[], float]


def main() -> None:
    options = _arguments()
    set_up_torch()
    workload = {"width": options.width, "size": options.size, "batch_size": 16}
    before, now = _networks(workload, options.steps)
    shapes = input_shapes(now, (3, options.size, options.size))
    found: list[Estimate] = []
    result: dict[str, Any] = {
        "workload": {**workload, "steps": options.steps, "steps_since": options.steps // 2},
        "provenance": provenance(["cpu"], 1, {"noise images": noise_images(options.size).hash}),
    }
    for name in options.layers or [name for name in shapes if name != "output"]:
        old, new = (_layer(net, name) for net in (before, now))
        for of, estimators in (
            ("reshaped", _of_reshaped_kernel(old, new)),
            ("operator", _of_operator(old, new, shapes[name])),
        ):
            exact = _exact_sigma(new, of, shapes[name])
            found += [_measure(name, of, one, exact, options.repeats) for one in estimators]
        result["estimates"] = [estimate._asdict() for estimate in found]
        write_result(options.out, "estimators", result, _title(workload, options.steps), [HEADINGS, *map(_row, found)])
        draw(options.out, result["estimates"], result["provenance"]["device"])
    print(options.out / "table.md")


def _networks(workload: dict[str, int], steps: int) -> tuple[nn.Module, nn.Module]:
    """Return a discriminator in float64 after half of the training steps, and after all of them."""
    task = dcgan_training(NoConstraint(), **workload)
    snapshots = []
    for _ in range(2):
        for _ in range(steps // 2):
            task.step(0.0)
        snapshots.append(copy.deepcopy(task.discriminator).double().eval().requires_grad_(False))
    return snapshots[0], snapshots[1]


def _layer(net: nn.Module, name: str) -> WeightedLayer:
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)
    return layer


def _exact_sigma(layer: WeightedLayer, of: str, shape: torch.Size) -> float:
    if of == "reshaped":
        return float(torch.linalg.svdvals(reshaped_weight(layer))[0])
    # A different random start than the estimators use.
    forward, start = linear_part(layer), _random(shape, seed=1)
    return leading_singular_value(forward, adjoint(forward, start), start, tolerance=1e-10, max_steps=400).sigma


def _of_reshaped_kernel(old: WeightedLayer, new: WeightedLayer) -> Iterator[Estimator]:
    matrix = reshaped_weight(new)
    yield Estimator("SVD", None, lambda: float(torch.linalg.svdvals(matrix)[0]))
    yield Estimator("SVD, float32", None, lambda: float(torch.linalg.svdvals(matrix.float())[0]))
    yield Estimator("eigenvalues of WWᵀ", None, lambda: float(torch.linalg.eigvalsh(_gram(matrix))[-1].sqrt()))
    forward, back = lambda v: matrix @ v, lambda u: matrix.T @ u
    _, _, warm = torch.linalg.svd(reshaped_weight(old), full_matrices=False)
    starts = {"random": _random(matrix.shape[1:]), "ones": torch.ones_like(matrix[0]), "warm": warm[0]}
    yield from _power_iterations(forward, back, starts)


def _of_operator(old: WeightedLayer, new: WeightedLayer, shape: torch.Size) -> Iterator[Estimator]:
    start = _random(shape)
    forward = linear_part(new)
    back = adjoint(forward, start)
    before = linear_part(old)
    warm = _power_vector(before, adjoint(before, start), start, 300)
    yield from _power_iterations(forward, back, {"random": start, "ones": torch.ones_like(start), "warm": warm})
    for name, first in (("Lanczos, random", start), ("Lanczos, warm", warm)):
        for steps in STEPS:
            yield Estimator(name, steps, _lanczos(forward, back, first, steps))
    for steps in GRAM_STEPS:
        yield Estimator("Gram iteration (certified)", steps, _bound(new, shape, steps))
    yield Estimator("eigenvalues by frequency (certified)", None, _bound(new, shape, None))
    yield Estimator("reshaped σ × overlap (certified)", None, lambda: _sigma(new) * overlap_factor(new, shape))
    yield Estimator("reshaped σ taken for it", None, lambda: _sigma(new))


def _power_iterations(forward: LinearMap, back: LinearMap, starts: dict[str, Tensor]) -> Iterator[Estimator]:
    for name, start in starts.items():
        for steps in STEPS:
            yield Estimator(f"power iteration, {name}", steps, _power(forward, back, start, steps))


def _power(forward: LinearMap, back: LinearMap, start: Tensor, steps: int) -> Callable[[], float]:
    return lambda: float(torch.linalg.vector_norm(forward(_power_vector(forward, back, start, steps))))


def _lanczos(forward: LinearMap, back: LinearMap, start: Tensor, steps: int) -> Callable[[], float]:
    return lambda: leading_singular_value(forward, back, start, tolerance=1e-13, max_steps=steps).sigma


def _bound(layer: WeightedLayer, shape: torch.Size, steps: int | None) -> Callable[[], float]:
    return lambda: float(operator_bound(layer, shape, iterations=steps))


def _power_vector(forward: LinearMap, back: LinearMap, vector: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        vector = back(forward(vector))
        vector = vector / torch.linalg.vector_norm(vector)
    return vector


def _sigma(layer: WeightedLayer) -> float:
    return float(torch.linalg.eigvalsh(_gram(reshaped_weight(layer)))[-1].sqrt())


def _gram(matrix: Tensor) -> Tensor:
    return matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix


def _random(shape: torch.Size, seed: int = 0) -> Tensor:
    size = shape if len(shape) == 1 else (1, *shape)
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _measure(layer: str, of: str, estimator: Estimator, exact: float, repeats: int) -> Estimate:
    value, times = estimator.call(), []
    for _ in range(repeats):
        start = time.perf_counter()
        estimator.call()
        times.append(1e3 * (time.perf_counter() - start))
    return Estimate(layer, of, estimator.name, estimator.iterations, value / exact - 1, median(times))


def _row(estimate: Estimate) -> tuple[str, ...]:
    steps = "-" if estimate.iterations is None else str(estimate.iterations)
    error = f"{estimate.error:+.1e}" if abs(estimate.error) >= 1e-13 else "0"
    return estimate.layer, estimate.of, estimate.estimator, steps, error, f"{estimate.ms:.2f}"


def _title(workload: dict[str, int], steps: int) -> str:
    return (
        "# Estimators of σ\n\n"
        f"Layers of SN-GAN's standard discriminator at width {workload['width']}, images of "
        f"{workload['size']}x{workload['size']}, after {steps} training steps on noise images. Warm starts come from "
        f"{steps // 2} steps earlier. float64 unless the estimator's name says float32, one thread, median time. A "
        "negative error is an estimate from below. `reshaped` is σ of the kernel as a matrix. `operator` is σ of the "
        "map that the layer applies at its true input size."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare estimators of σ: error against time.")
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--steps", type=int, default=20, help="training steps before the measurement")
    parser.add_argument("--layers", nargs="+", metavar="NAME", help="layers by name; by default every convolution")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls of each estimator")
    parser.add_argument("--out", type=Path, default=Path("results/estimators"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
