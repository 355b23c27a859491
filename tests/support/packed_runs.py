"""Runs that share a worker, and a constraint to which something happens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps import ONE_CPU, outcome, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job

TEXT = """\
    name: packed
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [CONSTRAINTS]
    seeds: [0, 1, 2]
    training: {steps: 120, batch_size: 8}
    evaluation: {every: 60, samples: 32, gradient_samples: 8}
"""
UNLUCKY = '''
import os, signal
from pathlib import Path
import torch
from lipschitz.constraints.base import Constraint
from lipschitz.random_streams import stream_seed
from lipschitz.training.iterations import Uncapturable

def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory.")

def lacks_a_workspace():
    raise RuntimeError("GET was unable to find an engine to execute this computation")

def lacks_memory_for_a_graph():
    raise Uncapturable("AcceleratorError: CUDA error: out of memory", lacked_memory=True)

def dies():
    os.kill(os.getpid(), signal.SIGKILL)

def exits():
    os._exit(0)

def changes_the_dtype():
    torch.set_default_dtype(torch.float64)

def loses_the_device():
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

def cannot_be_captured():
    raise Uncapturable("RuntimeError: no")

class Unlucky(Constraint):
    """Something happens to the run of seed 0, as long as a file says so."""
    source, promise = "this test", "none"

    def project(self, net):
        pass

    def penalty(self, net, batch, rng):
        mark = Path(__file__).with_name("mark")
        if rng.initial_seed() == stream_seed(0, "constraint") and mark.exists():
            what, often = mark.read_text().split()
            net.unlucky = getattr(net, "unlucky", 0) + 1
            if net.unlucky == 55:
                if often == "once":
                    mark.unlink()
                globals()[what]()
        return batch.real.new_zeros(())
'''
UNLUCKY_ENTRY = "unlucky.py:Unlucky"


def jobs_in(folder: Path, constraints: str = "gradient_penalty", pack: int = 1) -> list[Job]:
    folder.mkdir()
    (folder / "unlucky.py").write_text(UNLUCKY)
    runs = load_sweep(write(folder, TEXT.replace("CONSTRAINTS", constraints))).runs
    (folder / "out").mkdir()
    return [Job(run, folder / "out", ONE_CPU, "cpu", {"device": "cpu"}, "cpu: a", pack=pack) for run in runs]


def outcomes(jobs: Sequence[Job]) -> list[Any]:
    return [outcome(job) for job in jobs]
