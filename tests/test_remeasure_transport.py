"""Metrics are added to a finished run, if its recorded metrics are measured again with the same values."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lipschitz.datasets.transport.funnels import PUBLISHED_HASHES, Funnels
from lipschitz.datasets.transport.rays import Geometry
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.tasks.transport.potential import AS_PUBLISHED
from lipschitz.training.loop import Trainer

SWEEP = """
name: tiny
task: transport
datasets: [{funnels: {published: true}}]
models: [{critic: {width: 8}}]
constraints: [none]
seeds: [0]
training: {steps: 4, batch_size: 16}
evaluation: {every: 2, samples: 64, gradient_samples: 4}
"""


@pytest.fixture
def script() -> Any:
    path = Path(__file__).parents[1] / "benchmarks" / "remeasure_transport.py"
    spec = importlib.util.spec_from_file_location("remeasure_transport", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A finished run on funnels that count as published, whose result lacks the metrics that were added later."""
    centers, biases = Funnels()._drawn()
    monkeypatch.setitem(PUBLISHED_HASHES, (2, 4), Geometry(centers, biases, 8.0).hash())
    pair = tmp_path / "data" / "funnels" / "dim_2" / "width_4.pt"
    pair.parent.mkdir(parents=True)
    torch.save({"net.centers": centers, "net.bias": biases}, pair)
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    (run,) = load_sweep(tmp_path / "tiny.yaml").runs
    job = Job(run, tmp_path / "out", Site(("cpu",), tmp_path / "data"), "cpu", {"commit": "new"})
    with job.folder.writing():
        job.folder.define({**run.definition(4), "provenance": [{"commit": "old"}]})
        assert list(Trainer(job.build(), job.folder, steps=4, every=2, keep_checkpoints=True).run())
    path = job.folder.path / "result.json"
    result = json.loads(path.read_text())
    for part in (result["last"], result["best"]["values"], result["floor"], result["protocols"]):
        for name in AS_PUBLISHED:
            del part[name]
    # As an earlier version wrote it.
    del result["files"], result["checksum"]
    path.write_text(json.dumps(result))
    return job


def test_new_metrics_are_added_to_a_finished_run(script: Any, job: Job) -> None:
    before, records = job.folder.result(), job.folder.records()
    assert before is not None
    assert script.remeasure(job) == "measured"
    after = job.folder.result()
    assert after is not None
    for old, new in ((before["last"], after["last"]), (before["best"]["values"], after["best"]["values"])):
        assert set(new) - set(old) == set(AS_PUBLISHED)
        assert {name: new[name] for name in old} == old
    assert set(AS_PUBLISHED) <= set(after["floor"]) & set(after["protocols"])
    added = job.folder.records()[len(records) :]
    assert [(record["step"], record["metric"]) for record in added] == [(4, name) for name in AS_PUBLISHED]
    recorded = {record["metric"]: record["value"] for record in records if record["step"] == 4}
    assert [record["value"] for record in added] == [recorded[name] for name in AS_PUBLISHED]
    assert [origin["commit"] for origin in job.folder.origins()] == ["old", "new"]
    assert script.remeasure(job) == "unchanged: it has the new metrics"


def test_a_run_whose_recorded_value_differs_is_not_changed(script: Any, job: Job) -> None:
    path = job.folder.path / "result.json"
    result = json.loads(path.read_text())
    result["last"]["cosine"] += 1e-12
    path.write_text(json.dumps(result))
    before = path.read_bytes()
    assert script.remeasure(job) == "unchanged: other values than recorded: cosine"
    assert path.read_bytes() == before
