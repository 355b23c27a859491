"""Sweep files that say their values are those of a paper's released code have them."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# henrygouk/keras-lipschitz-networks, experiments/mnist.sh and fashion-mnist.sh, lcc=2: λ of convolutions and dense
# layers, and of batch normalization, by arm (plain, batch normalization, dropout, both).
GOUK = {
    "mnist": [(8, None), (1, 16), (8, None), (1, 16)],
    "fashion_mnist": [(8, None), (2, 8), (12, None), (4, 8)],
}


def unlabelled(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((name, fields),) = entry.items()
    return {name: {key: value for key, value in fields.items() if key != "label"}}


@pytest.mark.parametrize("dataset", GOUK)
def test_lambdas_are_those_of_gouk(dataset: str) -> None:
    sweep = YAML(typ="safe").load((BENCHMARKS / f"gouk_{dataset}.yaml").read_text())
    entries = [entry for part in sweep["parts"] for entry in part["constraints"]]
    flat = [unlabelled(one) for entry in entries for one in (entry if isinstance(entry, list) else [entry])]
    found = [one["gouk_projection"] for one in flat if "gouk_projection" in one]
    assert [(one["lambda_conv"], one.get("lambda_bn")) for one in found] == GOUK[dataset]
    assert all(one["lambda_conv"] == one["lambda_dense"] for one in found)
    # λ σ² without a half, of 0.001.
    assert {"spectral_regularization": {"weight": 0.002}} in flat
