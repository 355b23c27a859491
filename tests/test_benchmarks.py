"""The benchmark scripts still run, and write what they say: how fast is not looked at here."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SWEEP = """
name: tiny
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 4, depth: 1}}]
constraints: [none, weight_clipping]
training: {steps: 9}
evaluation: {every: 3, samples: 8, gradient_samples: 4}
"""


def run(script: str, *arguments: object) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_step_cost(tmp_path: Path) -> None:
    small = ["--width", 1, "--size", 8, "--batch-size", 2, "--pairs", 3]
    run("step_cost.py", *small, "--constraints", "gradient_penalty", "torch_spectral_norm", "--out", tmp_path)
    result = json.loads((tmp_path / "cost.json").read_text())
    assert result["workload"] == {"width": 1, "size": 8, "batch_size": 2}
    assert set(result["constraints"]) == {"gradient_penalty", "torch_spectral_norm"}
    ratio = result["constraints"]["gradient_penalty"]["ratio"]
    assert ratio["n"] == 3
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    # A penalty on a gradient: the network once more forward, and back twice.
    assert 1.5 < result["constraints"]["gradient_penalty"]["gflop"] / result["none"]["gflop"] < 2.5
    assert result["constraints"]["gradient_penalty"]["aten_calls"] > result["none"]["aten_calls"] > 50
    assert "torch" in result["provenance"]["versions"]
    assert "| gradient_penalty |" in (tmp_path / "table.md").read_text()


def test_overhead(tmp_path: Path) -> None:
    sweep = tmp_path / "tiny.yaml"
    sweep.write_text(SWEEP)
    run("overhead.py", "--sweep", sweep, "--pairs", 2, "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "overhead.json").read_text())
    (measured,) = result["runs"].values()
    assert measured["steps"] == 9
    assert measured["ratio"]["n"] == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["overhead.json", "table.md"]


def test_estimators(tmp_path: Path) -> None:
    small = ["--width", 2, "--size", 8, "--steps", 2, "--repeats", 1, "--layers", "blocks.1.conv"]
    run("estimators.py", *small, "--out", tmp_path)
    estimates = json.loads((tmp_path / "estimators.json").read_text())["estimates"]
    by_name = {(row["of"], row["estimator"], row["iterations"]): row["error"] for row in estimates}
    assert abs(by_name["reshaped", "SVD", None]) < 1e-12
    assert abs(by_name["reshaped", "eigenvalues of WWᵀ", None]) < 1e-9
    assert all(error > -1e-9 for (_, name, _), error in by_name.items() if "certified" in name)
    assert all(error < 1e-9 for (_, name, _), error in by_name.items() if name.startswith(("power", "Lanczos")))
    assert by_name["operator", "power iteration, warm", 1] > by_name["operator", "power iteration, random", 1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "estimators.json",
        "table.md",
        *(f"estimators.{kind}" for kind in ("svg", "pdf", "png")),
    }


def test_measurement(tmp_path: Path) -> None:
    run("measurement.py", "--width", 2, "--size", 8, "--batch-size", 2, "--steps", 2, "--out", tmp_path)
    seconds = json.loads((tmp_path / "measurement.json").read_text())["seconds"]
    assert 0 < seconds["σ of kernels and operators, warm"] < seconds["whole measurement of the discriminator"]
    assert "| share of training |" in (tmp_path / "table.md").read_text()
