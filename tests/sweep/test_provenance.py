import platform
import tomllib
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from in_process_engine import InProcess
from sweeps import ONE_CPU, SMALL, ProgressLog, write

import lipschitz
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import unfinished_jobs
from lipschitz.sweep.provenance import code_in_words, command_in_words, kernels, kernels_changed, provenance
from lipschitz.sweep.store import SweepFolder


def test_the_kernels_of_the_processor_and_the_system_are_recorded() -> None:
    found = provenance(["cpu"], 1, {})
    assert found["os"] == platform.platform()
    assert found["kernels"] == kernels()
    assert kernels()["capability"] == torch.backends.cpu.get_cpu_capability()
    assert kernels()["blas"] is None or kernels()["blas"].isalnum()


def test_a_package_that_is_not_installed_has_a_version() -> None:
    with Path(__file__).parents[2].joinpath("pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["version"]
    not_installed = mock.patch("lipschitz.sweep.provenance.version", lambda name: {"lipschitz": None}.get(name, "1"))
    with not_installed:
        assert provenance(["cpu"], 1, {})["versions"]["lipschitz"] == declared


def test_the_code_is_named_by_version_commit_and_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": "0123456789abcdef", "status": " M lipschitz/cli.py"}
    monkeypatch.setattr("lipschitz.sweep.provenance._git", lambda command, *_: answers[command])
    named = f"lipschitz {lipschitz.__version__} at commit 0123456789ab"
    assert code_in_words() == f"{named} with changes"
    answers["status"] = ""
    assert code_in_words() == named
    found = provenance(["cpu"], 1, {})
    assert (found["commit"], found["dirty"]) == ("0123456789abcdef", False)
    monkeypatch.setattr("lipschitz.sweep.provenance._git", lambda *_: None)
    assert code_in_words() == f"lipschitz {lipschitz.__version__}", "not a checkout"
    assert provenance(["cpu"], 1, {})["dirty"] is None


def test_only_other_kernels_are_a_change() -> None:
    avx2, avx512 = ({"kernels": {"capability": name}} for name in ("AVX2", "AVX512"))
    assert kernels_changed([], avx2) is None
    assert kernels_changed([avx512, avx2], avx2) is None
    assert kernels_changed([{}], avx2) is None, "of an earlier version"
    changed = "trained with kernels capability AVX2 so far, and from here with capability AVX512"
    assert kernels_changed([avx2], avx512) == changed


def test_a_run_that_is_resumed_with_other_kernels_warns(tmp_path: Path) -> None:
    one = SMALL.replace("[0, 1]", "[0]").replace("[none, spectral_normalization]", "[none]")
    plan = load_sweep(write(tmp_path, one), None, tmp_path / "out")
    (job,) = unfinished_jobs(plan, SweepFolder(plan.folder), ONE_CPU, {"kernels": {"capability": "AVX2"}})
    log = ProgressLog()
    InProcess().run([job], ONE_CPU, log)
    assert log.warnings == []
    job.folder.path.joinpath("result.json").unlink()
    kept = replace(job, site=replace(ONE_CPU, keep_checkpoints=True))
    InProcess().run([kept], kept.site, log)
    assert "kernels" not in " ".join(log.warnings), "the run began anew"
    log.lines.clear()
    job.folder.path.joinpath("result.json").unlink()
    InProcess().run([replace(job, provenance={"kernels": {"capability": "AVX512"}})], ONE_CPU, log)
    (warning,) = log.warnings
    assert "trained with kernels capability AVX2 so far, and from here with capability AVX512" in warning


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["/usr/bin/lipschitz", "sweep", "mine.yaml"], "lipschitz sweep mine.yaml"),
        (["/src/lipschitz/__main__.py", "sweep", "a b.yaml"], "lipschitz sweep 'a b.yaml'"),
        (["benchmarks/speed.py", "--out", "results/speed"], "speed.py --out results/speed"),
        (["lipschitz", "--data-root", "/home/me/data", "../mine.yaml"], "lipschitz --data-root .../data .../mine.yaml"),
        (["lipschitz", "--data-root=/home/me/data", "-o", "lr=0.1"], "lipschitz --data-root=.../data -o lr=0.1"),
    ],
)
def test_a_command_names_no_place_of_the_machine(argv: list[str], text: str) -> None:
    assert command_in_words(argv) == text
