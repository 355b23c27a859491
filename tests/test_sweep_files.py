"""Every sweep file at the papers' scale runs to its report, with tiny networks and small files of the published formats."""

import json
from dataclasses import replace
from pathlib import Path

import mnist_files
import numpy as np
import pandas as pd
import pytest
from command_line import lipschitz
from fake_inception import network
from published_files import expect_cifar, write_cifar, write_stl10
from ruamel.yaml import YAML

from lipschitz.commands import sweep as sweeping
from lipschitz.estimation.upper_bound import composition
from lipschitz.features import reference_classifier
from lipschitz.report.write import report
from lipschitz.sweep import inputs
from lipschitz.sweep.definition.axes import json_schema
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.generation import inception_quality

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ENGINE = Path(__file__).with_name("support") / "in_process_engine.py"
FILES = {
    "cifar10_small": (3, 3),
    "conditional_cifar100": (1, 1),
    "fashion_mnist": (1, 1),
    "resnet_cifar10": (2, 2),
    "sagan_cifar10": (2, 2),
    "sngan_table2_cifar10": (6, 3),
    "sngan_table2_stl10": (6, 3),
}
"""For each sweep the number of runs after `small`, and the rows of its report. Tuning runs have no rows."""
PROTOCOLS = [{"sngan": {"n_real": 20, "n_fake": 6, "score_samples": 10}}, {"modern": {"n_real": 20, "n_fake": 10}}]
METRIC = "fid/sngan(n_real=20, n_fake=6, score_samples=10)"


def small(document):
    """Return a sweep with narrow networks, small batches, few images, and one entry on most axes."""
    for part in (document, *document.get("parts", [])):
        if "training" in part:
            given = part["training"]
            part["training"] = given | {key: 4 for key in ("batch_size", "generator_batch_size") if key in given}
        if "evaluation" in part:
            judged = {"protocols": PROTOCOLS, "select": METRIC} if "protocols" in part["evaluation"] else {}
            part["evaluation"] |= {"samples": 16, "gradient_samples": 4} | judged
        if "select" in part:
            part["select"] = {"metric": METRIC}
        part |= {key: part[key][-1:] for key in ("datasets", "constraints", "seeds") if key in part}
        if "settings" in part:
            last = part["settings"][-1]
            part["settings"] = ["B" if isinstance(last, str) else last | {"n_dis": 2}]
        if "models" in part and document["name"] != "cifar10_small":
            # The longest entry is the one with labels or attention.
            part["models"] = [max(part["models"], key=lambda model: len(str(model)))]
        if "models" in part:
            part["models"] = [narrow(model) for model in part["models"]]
    return document


def narrow(model):
    name, fields = next(iter(model.items())) if isinstance(model, dict) else (model, {})
    return {name: fields | {"width": 2}}


def files(root, monkeypatch):
    for name in ("cifar10", "cifar100"):
        write_cifar(root, name, n=20)
        expect_cifar(monkeypatch, root, name)
    write_stl10(root, monkeypatch, n=20)
    fashion = mnist_files.contents()
    mnist_files.write(root, "FashionMNIST", fashion, packed=False)
    mnist_files.expect(monkeypatch, "FashionMNIST", fashion)
    (root / "cifar10_test").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(root / "cifar10_test" / "cifar10_test.npz", images=images, labels=np.arange(40) % 10)


@pytest.mark.usefixtures("brief_bracket")
@pytest.mark.parametrize("name", FILES)
def test_a_sweep_runs_from_its_file_to_its_report(tmp_path, monkeypatch, name):
    root = tmp_path / "data"
    root.mkdir()
    files(root, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    train = reference_classifier.train
    monkeypatch.setattr(reference_classifier, "train", lambda data, recipe: train(data, replace(recipe, steps=2)))
    monkeypatch.setattr(sweeping, "check_weights", lambda plan, given: None)
    monkeypatch.setattr(inputs, "read_weights", lambda path: (b"", "e" * 64))
    for module in (inputs, inception_quality):
        monkeypatch.setattr(module, "weights_file", lambda given: given)
    monkeypatch.setattr(inception_quality, "load_inception", lambda path, device: network())
    monkeypatch.setattr(composition, "FULLY_BOUNDED", 2)
    yaml = YAML(typ="safe", pure=True)
    path = tmp_path / f"{name}.yaml"
    yaml.dump(small(yaml.load(BENCHMARKS / path.name)), path)
    out = tmp_path / "out"
    # Only this process expects the checksums of small files, and knows a small Inception network.
    options = ["--limit-steps", 4, "--engine", f"{ENGINE}:Untimed", "--no-report"]
    done = lipschitz("sweep", path, "--data-root", root, "--out", out, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = SweepFolder(out)
    results = [folder.run(run).result() for run in folder.run_ids()]
    report(out, limit_panels=1)
    (judged,) = {result["best"]["by"] for result in results}
    last = pd.read_csv(out / "summary.csv").query(
        f"metric == '{judged}' and which == 'last' and constraint != 'real data'"
    )
    assert (len(results), len(last)) == FILES[name]
    assert np.isfinite(last["mean"]).all()


def test_every_committed_sweep_file_names_the_schema_by_which_editors_check_it():
    schema = BENCHMARKS / "sweep.schema.json"
    # `lipschitz schema --out benchmarks/sweep.schema.json` writes it again.
    assert json.loads(schema.read_text()) == json_schema()
    files = [*BENCHMARKS.glob("*.yaml"), *BENCHMARKS.parent.glob("docs/examples/*.yaml")]
    assert len(files) > 20
    for path in files:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema="), path
        assert (path.parent / first.partition("$schema=")[2]).resolve() == schema, path
