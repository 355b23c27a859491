"""``lipschitz export``: weights of a run as safetensors, with its run.json."""

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from command_line import lipschitz
from finished_run import finished_run
from safetensors import safe_open
from safetensors.torch import load_file

import lipschitz as lip

GAN = """
    name: gan
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 4, depth: 1}}]
    constraints: [spectral_normalization]
    training: {steps: 5, ema: 0.9}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(dedent(GAN), tmp_path_factory.mktemp("gan"), steps={"last": 5, "best": 3})[0]


def test_every_network_of_both_steps_is_written_with_the_run(run: Path, tmp_path: Path) -> None:
    done = lipschitz("export", run, "--to", "safetensors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / run.name
    names = [f"{name}-{which}" for which in ("last", "best") for name in ("discriminator", "generator", "average")]
    assert done.stdout.splitlines() == [f"{run.name}/run.json", *(f"{run.name}/{name}.safetensors" for name in names)]
    assert (folder / "run.json").read_bytes() == (run / "run.json").read_bytes()
    loaded = lip.load_run(run)
    for name in names:
        network, which = name.split("-")
        path = folder / f"{name}.safetensors"
        expected = loaded.at(which).networks[network].state_dict()
        found = load_file(path)
        assert found.keys() == expected.keys()
        assert all(torch.equal(value, expected[key]) for key, value in found.items())
        with safe_open(path, "pt") as file:
            assert file.metadata() == {
                "run": run.name,
                "network": network,
                "which": which,
                "step": {"last": "5", "best": "3"}[which],
                "lipschitz": lip.__version__,
                "format": "pt",
            }


def test_weights_of_a_run_without_a_best_step_are_those_of_the_last(tmp_path: Path) -> None:
    path, _ = finished_run(dedent(GAN.replace(", ema: 0.9", "")), tmp_path)
    done = lipschitz("export", path, "--out", "weights", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = sorted(file.name for file in (tmp_path / "weights").iterdir())
    assert found == ["discriminator-last.safetensors", "generator-last.safetensors", "run.json"]
    assert json.loads((tmp_path / "weights" / "run.json").read_text())["id"] == path.name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onnx"], "error: --to onnx: unknown format; allowed: safetensors"),
        (["absent"], "absent: no run here (no run.json)"),
    ],
)
def test_wrong_input_is_one_line(run: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = lipschitz("export", *(arguments if "absent" in arguments else [run, *arguments]), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_extra_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    done = lipschitz("export", run, cwd=tmp_path)
    assert done.stderr == "error: --to safetensors needs the package: pip install 'lipschitz[safetensors]'\n"
    assert not list(tmp_path.iterdir())
