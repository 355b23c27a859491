"""Bound the Lipschitz constant of a small MNIST classifier, beside published bounds of one like it. See ``--help``.

    python benchmarks/bracket_mnist.py --data-root data

The network and its training are those of LipDiff's code (Wang et al. 2024, https://github.com/z1w/LipDiff): 784-256-10
with ReLU, pixels in [0, 1], SGD with learning rate 0.02, momentum 0.9 and weight decay 8e-4, batches of 256, 50 epochs.
The constant is that of the logit of class 8. The published bounds are of other weights.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from result_files import write_result
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.datasets.images.mnist import MNIST
from lipschitz.datasets.images.split import Split
from lipschitz.estimation.measure import measure
from lipschitz.report.number_format import show
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance

LABEL, HIDDEN, BATCH = 8, 256, 256
PUBLISHED = {"product": 9.31, "LipSDP": 4.82, "LipDiff": 4.98}
"""https://github.com/z1w/LipDiff, README; the classifier there has an accuracy of 97.9 %."""
HEADINGS = ("seed", "accuracy", "lower", "upper", "product", "upper / lower", "product / upper", "CPU seconds")


def main() -> None:
    options = _arguments()
    set_up_torch()
    dataset = MNIST(size=28)
    train, test, _ = dataset.read(dataset.verify(options.data_root))
    networks = []
    for seed in options.seeds:
        networks.append({"seed": seed} | _measured(seed, options.epochs, _images(train), _images(test)))
        print(" ".join(_row(networks[-1])), flush=True)
    result: dict[str, Any] = {
        "workload": {"epochs": options.epochs, "images": train.size},
        "published": PUBLISHED,
        "provenance": provenance(["cpu"], 1, {}),
        "networks": networks,
    }
    write_result(options.out, "mnist", result, _title(options.epochs), [HEADINGS, *map(_row, networks)], "mnist.md")
    print(options.out / "mnist.md")


def _measured(seed: int, epochs: int, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> dict[str, float]:
    net = _trained(seed, epochs, *train)
    with torch.no_grad():
        accuracy = float((net(test[0]).argmax(dim=1) == test[1]).float().mean())
    logit = nn.Linear(HIDDEN, 1)
    logit.load_state_dict({key: value[LABEL : LABEL + 1] for key, value in net[2].state_dict().items()})
    start = time.process_time()
    measured = measure(nn.Sequential(net[0], net[1], logit), (784,), points=test[0][:1000].double())
    seconds = time.process_time() - start
    values = {"lower": measured.lower, "upper": measured.upper, "product": measured.product}
    return {"accuracy": accuracy, **values, "seconds": seconds}


def _trained(seed: int, epochs: int, images: Tensor, labels: Tensor) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=8e-4)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimiser.step()
    return net


def _images(split: Split) -> tuple[Tensor, Tensor]:
    assert split.labels is not None
    return split.images.flatten(1).float() / 255, split.labels


def _row(network: dict[str, float]) -> list[str]:
    lower, upper, product = (network[key] for key in ("lower", "upper", "product"))
    ratios = (upper / lower, product / upper)
    numbers = [f"{number:.2f}" for number in (lower, upper, product, *ratios)]
    return [str(network["seed"]), f"{network['accuracy']:.1%}", *numbers, show(network["seconds"], 2)]


def _title(epochs: int) -> str:
    published = ", ".join(f"{name} {value}" for name, value in PUBLISHED.items())
    return (
        "# Bounds of the Lipschitz constant of an MNIST classifier\n\n"
        "784-256-10 with ReLU, pixels in [0, 1]; the constant of the logit of class 8. Trained as by LipDiff's code "
        "(Wang et al. 2024): SGD, learning rate 0.02, momentum 0.9, weight decay 8e-4, "
        f"batches of {BATCH}, {epochs} epochs. Published bounds of other weights with an accuracy of 97.9 %, trained "
        f"in the same way: {published}. Upper: the certified bound of `lipschitz measure`. Product: the norm of the "
        "first layer times that of the row of class 8."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bound the Lipschitz constant of a small MNIST classifier.")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="folder that holds MNIST/raw")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="seeds of the networks")
    parser.add_argument("--epochs", type=int, default=50, help="epochs of training")
    parser.add_argument("--out", type=Path, default=Path("results/bracket"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
