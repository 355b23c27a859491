"""Processes that join as tasks of a Ray cluster of this machine, where Ray is installed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import lipschitz
from sweeps import write

from lipschitz.errors import InputError
from lipschitz.sweep.joining.ray_tasks import part_of_a_gpu, run_tasks


def test_tasks_share_the_gpus_of_a_cluster() -> None:
    assert part_of_a_gpu({"CPU": 8.0}, 4) == 0.0
    assert part_of_a_gpu({"GPU": 8.0}, 4) == 1.0
    assert part_of_a_gpu({"GPU": 2.0}, 8) == 0.25


def test_without_ray_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = lipschitz("sweep", write(tmp_path), "--ray", "auto", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error: --ray: needs the package ray, which is not installed; install it with pip install -e '.[ray]'\n"
    )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_tasks_run_the_command_in_this_folder(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.chdir(tmp_path)
    # This process is the cluster's driver already.
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    said: list[str] = []
    code = "import os, json; json.dump(os.getcwd(), open(str(os.getpid()), 'w'))"
    assert run_tasks([sys.executable, "-c", code], address, 2, said.append) == []
    assert [json.loads(path.read_text()) for path in tmp_path.iterdir()] == [str(tmp_path)] * 2
    (line,) = run_tasks([sys.executable, "-c", "raise SystemExit(1)"], address, 1, said.append)
    assert line.startswith("exit code 1: ")
    assert said[0] == f"2 tasks started on {address}, each with 0 of a GPU"


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")

    def fails(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(InputError, match=r"--ray auto: no cluster there: Could not find any running Ray instance\.; "):
        run_tasks(["true"], "auto", 1, print)
