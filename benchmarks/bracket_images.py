"""Bracket the Lipschitz constant of discriminators of 32x32 images, at their start and after training. See ``--help``.

    python benchmarks/bracket_images.py --data-root data

At the start: SN-GAN's standard CNN on 3x32x32 at two widths, and its ResNet. After training: the CNN on Fashion-MNIST
at 32x32, for the methods of ``benchmarks/quickstart.yaml``.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from result_files import write_result
from torch import Tensor, nn
from workload import PLACES, POINTS

from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.datasets.base import DATASETS
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.models.base import Model
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.resnet import ResNet
from lipschitz.report.number_format import show
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.measurement import measure_discriminator
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Evaluation, Terms, Training

METHODS = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")
HEADINGS = (
    *("network", "method", "steps", "seed", "lower", "upper", "product"),
    *("upper / lower", "product / upper", "seconds, upper", "seconds, all"),
)
CPU = torch.device("cpu")


def main() -> None:
    options = _arguments()
    set_up_torch()
    torch.set_num_threads(1)
    networks = []
    starts: list[tuple[str, Model]] = [(f"CNN, width {width}", DCGAN(width=width)) for width in options.widths]
    starts.append((f"ResNet, width {options.width}", ResNet(width=options.width)))
    for name, model in starts:
        for seed in options.seeds:
            torch.manual_seed(seed)
            net = model.build_discriminator((3, 32, 32))
            rng = torch.Generator().manual_seed(seed)
            places = {place: torch.randn((POINTS, 3, 32, 32), generator=rng) for place in PLACES}
            networks.append({"network": name, "method": "none", "steps": 0, "seed": seed} | bracket(net, places))
            print(" ".join(row(networks[-1])), flush=True)
    images = DATASETS["fashion_mnist"]().load(options.data_root, CPU)
    for method in METHODS:
        for seed in options.seeds:
            task = training(images, CONSTRAINTS[method](), options, seed)
            for step in range(options.steps):
                task.step(step / options.steps)
            places = _places(task, images, seed)
            found = bracket(task.networks()["discriminator"], places)
            name = f"CNN, width {options.width}, Fashion-MNIST"
            networks.append({"network": name, "method": method, "steps": options.steps, "seed": seed} | found)
            print(" ".join(row(networks[-1])), flush=True)
    workload = {key: value for key, value in vars(options).items() if key not in ("out", "data_root")}
    result = {
        "workload": workload,
        "provenance": provenance(["cpu"], 1, {"fashion_mnist": images.hash}),
        "networks": networks,
    }
    write_result(options.out, "images", result, _text(options), [HEADINGS, *map(row, networks)], table="images.md")
    print(options.out / "images.md")


def training(images: Any, constraint: Constraint, options: argparse.Namespace, seed: int) -> GANTraining:
    """Return the training of the CNN on ``images`` at setting C with the hinge loss."""
    terms = Terms(
        DCGAN(width=options.width),
        (constraint,),
        LOSSES["hinge"](),
        SETTINGS["C"],
        seed,
        Training(steps=options.steps, batch_size=64),
        Evaluation(),
        selection="frechet_classifier",
        device=CPU,
    )
    return GANTraining(images, terms)


def bracket(net: nn.Module, places: dict[str, Tensor]) -> dict[str, float]:
    """Return the bounds that a sweep records, and the seconds of the upper bound alone and of the whole measurement."""
    shape = tuple(places["real"].shape[1:])
    with float64_copy(net) as twin:
        bounds = layer_bounds(twin, input_shapes(twin, shape))
        start = time.perf_counter()
        upper_bound(twin, shape, bounds.operators)
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    values = measure_discriminator(net, places).values
    whole = time.perf_counter() - start
    names = {"lower": "lipschitz_lower", "upper": "lipschitz_upper", "product": "lipschitz_upper_product"}
    return {name: values[metric] for name, metric in names.items()} | {"seconds_upper": seconds, "seconds": whole}


def row(network: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one network's row."""
    lower, upper, product = (network[name] for name in ("lower", "upper", "product"))
    return (
        *(str(network[name]) for name in ("network", "method", "steps", "seed")),
        *(show(value) for value in (lower, upper, product, upper / lower if lower else float("inf"), product / upper)),
        *(f"{network[name]:.1f}" for name in ("seconds_upper", "seconds")),
    )


def _places(task: GANTraining, images: Any, seed: int) -> dict[str, Tensor]:
    """Return real and generated images, interpolates, and noise."""
    rng = torch.Generator().manual_seed(seed)
    real = images.reference(POINTS, rng)
    with torch.no_grad():
        fake = task.networks()["generator"].eval()(torch.randn(POINTS, 128, generator=rng))
    share = torch.rand(POINTS, 1, 1, 1, generator=rng)
    noise = torch.rand(real.shape, generator=rng) * 2 - 1
    between = torch.lerp(fake, real, share)
    return {"real": real, "fake": fake, "interpolated": between, "noise": noise}


def _text(options: argparse.Namespace) -> str:
    return (
        "# Bounds of Lip(D) on 32x32 images\n\nEval mode, one core. Lower: steepest pair of points found. Upper: "
        "certified, the smaller of the composed bound and of the semidefinite bounds of runs of layers. Product: "
        "composed of the bounds of single layers. Steps 0: at the start, He initialisation, noise of 3x32x32. After "
        f"{options.steps} steps: trained on Fashion-MNIST, setting C, hinge loss, batch 64. Seconds of the upper "
        "bound leave out the bounds of single layers."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bracket the Lipschitz constant of discriminators of 32x32 images.")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64], help="of the CNN at its start")
    parser.add_argument("--width", type=int, default=16, help="of the ResNet, and of the CNN that is trained")
    parser.add_argument("--steps", type=int, default=300, help="training steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of weights and batches")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="folder of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path("results/bracket"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
