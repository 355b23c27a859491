"""Every other implementation makes the same first updates as ours, and one that does not is not timed."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from other_spectral_norms import MIMICRY, apply_torch_parametrization
from peer_implementations import PEERS, textbook
from peers import main, measure
from same_step import Distance, first_step_distance
from textbook import SNGAN, WGANGP

WORKLOAD = {"width": 2, "size": 8, "batch_size": 4, "device": torch.device("cpu")}
LAYERS = """
from torch import nn, ones


class Normalised:
    def forward(self, x):
        matrix = self.weight.flatten(1)
        v = nn.functional.normalize(self.sn_u @ matrix, dim=-1)
        weight = self.weight / (self.sn_u @ matrix @ v.T)
        return self.apply_to(x, weight)


class SNConv2d(Normalised, nn.Conv2d):
    def __init__(self, inputs, outputs, *args, **kwargs):
        super().__init__(inputs, outputs, *args, **kwargs)
        self.register_buffer("sn_u", ones(1, outputs))

    def apply_to(self, x, weight):
        return self._conv_forward(x, weight, self.bias)


class SNLinear(Normalised, nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("sn_u", ones(1, outputs))

    def apply_to(self, x, weight):
        return nn.functional.linear(x, weight, self.bias)
"""


def distance_to_ours(name: str, train=None) -> Distance:
    """Return the distance of the peer ``name`` from ours; ``train`` replaces the peer's implementation."""
    peer = PEERS[name] if train is None else PEERS[name]._replace(train=train)
    return first_step_distance(partial(peer.ours.build, WORKLOAD), partial(peer.build, WORKLOAD))


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_makes_the_same_first_updates(name: str) -> None:
    library = PEERS[name].library
    if library is not None and (absence := library.absence()):
        pytest.skip(f"{library.package}: {absence}")
    found = distance_to_ours(name)
    assert found.is_rounding()
    assert found.gradient < 1e-4


def test_a_library_is_used_although_its_package_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / MIMICRY.package
    (package / MIMICRY.file).parent.mkdir(parents=True)
    (package / "__init__.py").write_text("import a_module_that_torch_no_longer_has")
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot be loaded" in (MIMICRY.absence() or "")
    (package / MIMICRY.file).write_text(LAYERS)
    assert MIMICRY.absence() is None
    assert distance_to_ours("torch_mimicry").gradient < 1e-4


class ElevenTenths(WGANGP):
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return 1.1 * super().discriminator_loss(real, fake)


def without_normalization(_: nn.Module) -> None:
    pass


def from_other_weights(net: nn.Module) -> None:
    apply_torch_parametrization(net)
    net.get_submodule("output").bias.data.add_(1)


@pytest.mark.parametrize(
    ("name", "train", "differs_in"),
    [
        ("wgan_gp", textbook(ElevenTenths), "gradient"),
        ("torch_hook", textbook(SNGAN, without_normalization), "gradient"),
        ("torch_hook", textbook(SNGAN, from_other_weights), "start"),
    ],
)
def test_a_peer_with_other_updates_is_not_timed(name: str, train, differs_in: str) -> None:
    found = distance_to_ours(name, train)
    assert not found.is_rounding()
    assert getattr(found, differs_in) > 5e-2
    (row,) = measure(PEERS[name]._replace(train=train), WORKLOAD, 3)
    assert row["refused"].startswith("its first updates are not ours")
    assert "ratio" not in row


def test_a_distance_of_nan_is_not_rounding() -> None:
    assert Distance(start=0, gradient=0, update=0).is_rounding()
    assert not Distance(start=0, gradient=float("nan"), update=0).is_rounding()


def test_the_script_writes_a_row_for_each_step_of_each_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["torch_hook", "wgan", "torch_mimicry"]
    small = ["--widths", 1, "--size", 8, "--batch-size", 2, "--pairs", 3, "--peers", *names, "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", ["peers.py", *map(str, small)])
    main()
    result = json.loads((tmp_path / "peers.json").read_text())
    assert result["workload"] == {"size": 8, "batch_size": 2, "device": "cpu"}
    assert "torch" in result["provenance"]["versions"]
    rows = {(row["peer"], row.get("step")): row for row in result["rows"]}
    for name in ("torch_hook", "wgan"):
        for step in ("discriminator", "iteration"):
            row = rows[name, step]
            assert row["ratio"]["n"] == 3
            assert 0 < row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
            # The same arithmetic, in fewer calls.
            ours, peer = row["operations"]["ours"], row["operations"]["peer"]
            assert ours["gflop"] == pytest.approx(peer["gflop"], rel=0.1)
            assert 50 < ours["aten_calls"] < peer["aten_calls"]
    if MIMICRY.absence() is not None:
        assert rows["torch_mimicry", None] == {"peer": "torch_mimicry", "width": 1, "refused": MIMICRY.absence()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peers.json", "peers.md"]
    table = (tmp_path / "peers.md").read_text()
    assert "| torch_hook | 1 | discriminator |" in table
    assert f"- wgan: {PEERS['wgan'].what}." in table
