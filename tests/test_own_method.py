"""A method from outside the package, in a file or an installed package, is swept, reported, listed and tested."""

import csv
import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from own_method import METHOD, install, write_method

from lipschitz.report.write import report

ROOT = Path(__file__).parents[1]
SWEEP = """\
name: mine
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 8, depth: 1}}]
constraints: [none, {mine.py:Decay: {weight: 1.0}}, offered_decay]
seeds: [0]
training: {steps: 4, batch_size: 8}
evaluation: {every: 4, samples: 32, gradient_samples: 8}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep file, a file with a method, and an installed package that offers the same method."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.yaml").write_text(SWEEP)
    write_method(folder)
    write_method(folder / "site", name="decays.py")
    install(folder / "site", "decay", "offered_decay = decays:Decay", "broken = nowhere:Decay")
    return folder


def lipschitz(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "lipschitz", *arguments]
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_method_from_outside_is_swept_and_reported(folder: Path) -> None:
    lipschitz(folder, "sweep", "mine.yaml", "--workers", "2", "--no-report")
    results = folder / "results" / "mine"
    report(results, limit_panels=0)
    with (results / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "w1" and row["which"] == "last"]
    assert {row["constraint"]: row["n"] for row in rows} == {
        "none": "1",
        "Decay(weight=1.0)": "1",
        "offered_decay": "1",
        "real data": "1",
    }
    (run,) = [json.loads(path.read_text()) for path in results.glob("runs/*-Decay*/run.json")]
    assert run["outside"]["Decay"]["sha256"] == sha256((folder / "mine.py").read_bytes()).hexdigest()
    assert "eprint = {3101.00001}" in (results / "references.bib").read_text()
    assert len(list((results / "timing").glob("*.json"))) == 3


def test_methods_of_installed_packages_are_listed_and_refused_ones_with_the_reason(folder: Path) -> None:
    listed = " ".join(lipschitz(folder, "list", "constraints").split())
    assert "offered_decay heuristic - - Add λ Σ ‖W‖² to the loss." in listed
    assert "(decays:Decay, decay 1.0)" in listed
    assert "broken - - - Refused: nowhere:Decay, offered by decay 1.0, cannot be imported" in listed


def test_the_contract_tests_run_over_the_given_methods_only(folder: Path) -> None:
    text = METHOD.replace("class Decay", "class Growth").replace("return self.weight", "return -self.weight")
    given = [
        f"--constraint={folder / 'mine.py'}:Decay",
        f"--constraint={write_method(folder, text, 'other.py')}:Growth",
    ]
    # One model is enough to see which methods are tested.
    tests = ["tests/test_contracts.py", "-k", "not dcgan and not resnet"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    failed = re.findall(r"^FAILED \S+::(\w+)\[.*?\b(Decay|Growth)\b", done.stdout, re.MULTILINE)
    assert set(failed) == {("test_the_penalty_is_a_finite_scalar_of_the_batch_s_dtype", "Growth")}, done.stdout
    assert "passed" in done.stdout
    assert "spectral_normalization" not in done.stdout
