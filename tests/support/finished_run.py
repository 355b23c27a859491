"""The folder of a run as if it were over, with untrained networks: what loads them needs no training."""

from pathlib import Path
from typing import Any

import torch

from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.journal import Journal
from lipschitz.training.loop import _weights
from lipschitz.training.task import Task


def finished(run: Run, folder: Path, *, steps: dict[str, int] | None = None) -> tuple[Path, Task]:
    """Write the files of ``run`` into the results ``folder``, and return its own folder and its task."""
    task = Job(run, folder, Site(("cpu",)), "cpu", {}).build()
    torch.manual_seed(0)
    with torch.no_grad():
        for net in task.networks().values():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    files = SweepFolder(folder).run(run.id)
    files.path.mkdir(parents=True, exist_ok=True)
    files.define(run.definition(5))
    networks: dict[str, Any] = {"step": steps or {"last": 5}}
    networks |= dict.fromkeys(networks["step"], _weights(task))
    journal = Journal(files)
    journal.keep(networks)
    journal.on_end({"status": "finished", "last": {}})
    return files.path, task


def finished_run(text: str, folder: Path, **options: Any) -> tuple[Path, Task]:
    """Write the files of the first run of a sweep file."""
    path = folder / "one.yaml"
    path.write_text(text)
    return finished(load_sweep(path, out=folder / "results").runs[0], folder / "results", **options)
