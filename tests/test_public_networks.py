"""The public networks that are measured: their factories, and the script that measures them under limits."""

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("measure_networks")


def test_every_discriminator_takes_its_shape(script: ModuleType) -> None:
    networks = importlib.import_module("networks")
    classifiers = {*networks.CLASSIFIERS, "vit_b_16"}
    discriminators = {name: one for name, one in networks.PUBLIC_NETWORKS.items() if name not in classifiers}
    assert len(discriminators) >= 13
    for name, network in discriminators.items():
        with torch.device("meta"):
            net = network.factory().train()
            outputs = net(torch.zeros(4, *network.shape))
        assert outputs.shape[0] == 4, name


def test_a_network_is_built_reproducibly_after_passes_in_train_mode(script: ModuleType) -> None:
    network = importlib.import_module("networks").PUBLIC_NETWORKS["dcgan"]
    before = torch.get_rng_state()
    first, again = network.build(), network.build()
    assert torch.equal(before, torch.get_rng_state())
    assert not first.training
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert first.main[3].running_mean.any()


def test_a_network_is_measured_in_a_process_of_its_own(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_networks.py", "--networks", "dragan", "--out", str(tmp_path)])
    script.main()
    result = json.loads((tmp_path / "networks.json").read_text())
    row = result["networks"]["dragan"]
    assert 0 < row["lower"] <= row["upper"]
    assert row["parameters"] == 784 * 512 + 2 * 512 * 512 + 3 * 512 + 512 + 1
    assert row["peak_bytes"] > 2**26
    assert "torch" in result["provenance"]["versions"]
    assert "| dragan | 927,745 |" in (tmp_path / "networks.md").read_text()


def test_a_network_that_takes_too_long_or_fails_is_a_row(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def ending(code: int, stderr: str) -> None:
        done = subprocess.CompletedProcess([], code, "", stderr)
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)

    ending(-signal.SIGPROF, "")
    late = script._in_process("dcgan", 60, 4)
    assert late == {"error": "not measured in 60 s of CPU time"}
    assert script._cells("dcgan", late)[-1] == "not measured in 60 s of CPU time"
    ending(1, "Traceback\nRuntimeError: no memory\n")
    assert script._in_process("dcgan", 60, 4) == {"error": "RuntimeError: no memory"}
    ending(-9, "")
    assert script._in_process("dcgan", 60, 4) == {"error": "exit code -9"}


def test_infinity_is_shown_with_its_reasons(script: ModuleType) -> None:
    row = {
        "lower": 1.5,
        "upper": None,
        "upper_product": None,
        "reasons": ["'a' x", "b", "c", "d", "'b' x"],
        "cpu_seconds": 2.0,
    }
    cells = script._cells("x", {**row, "parameters": 1000, "peak_bytes": 2**30})
    assert cells == (
        "x",
        "1,000",
        "1.5",
        "∞",
        "-",
        "2.0",
        "1.0 GiB",
        "'a' x (and 1 more of this kind); b; c; and 1 more",
    )
