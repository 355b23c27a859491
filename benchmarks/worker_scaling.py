"""Measure the throughput of one worker process for each CPU core, relative to a single worker."""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from workload import CPU, dcgan_training

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.cpu import cpu_cores
from lipschitz.datasets.points import EightGaussians
from lipschitz.models.mlp import MLP
from lipschitz.sweep.process import set_up_torch, worker_context
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.losses import Hinge
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Evaluation, Terms, Training
from lipschitz.training.clock import median_interval

WARM_UP = 5


def points(seed: int) -> GANTraining:
    """Return the training of the default perceptron on eight Gaussians, with spectral normalization."""
    terms = Terms(
        MLP(),
        (SpectralNormalization(),),
        Hinge(),
        SETTINGS["C"],
        seed,
        Training(steps=1000, batch_size=64),
        Evaluation(samples=64, gradient_samples=64),
        selection="w1",
        device=CPU,
    )
    return GANTraining(EightGaussians().load(None, CPU), terms)


def images(seed: int) -> GANTraining:
    """Return the training of SN-GAN's CNN at a quarter of its width on 32x32 images, with spectral normalization."""
    return dcgan_training(SpectralNormalization(), width=16, size=32, batch_size=64, seed=seed)


WORKLOADS: dict[str, Callable[[int], GANTraining]] = {"points, mlp": points, "images, dcgan of width 16": images}


def scaling(workload: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Return the throughput ``alone`` of one worker and ``together`` of one worker for each core, and their ``ratio``.

    Both are measured in turn, ``rounds`` times for ``seconds`` each; each value is a median with its interval. The
    workers are processes as a sweep starts them, each with another seed.
    """
    context, count = worker_context(), cpu_cores()
    ends = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_train, args=(workload, seed, theirs), daemon=True)
        for seed, (_, theirs) in enumerate(ends)
    ]
    for process, (_, theirs) in zip(processes, ends, strict=True):
        process.start()
        # Only the process then holds this end, so the pipe closes when the process ends.
        theirs.close()
    channels = [ours for ours, _ in ends]
    try:
        for channel in channels:
            channel.recv()
        alone, together = [], []
        for _ in range(rounds):
            alone.append(_throughput(channels[:1], seconds))
            together.append(_throughput(channels, seconds))
    finally:
        for process in processes:
            # The fork server starts processes that do not heed SIGTERM.
            process.kill()
            process.join()
    return {
        "workers": count,
        "alone": median_interval(alone)._asdict(),
        "together": median_interval(together)._asdict(),
        "ratio": median_interval([b / a for a, b in zip(alone, together, strict=True)])._asdict(),
    }


def _throughput(channels: list[Connection], seconds: float) -> float:
    for channel in channels:
        channel.send(seconds)
    return float(sum(channel.recv() for channel in channels))


def _train(workload: str, seed: int, channel: Connection) -> None:
    """Send "ready" after a warm-up. For each number of seconds received, train that long and send iterations/s."""
    set_up_torch()
    task = WORKLOADS[workload](seed)
    for _ in range(WARM_UP):
        task.step(0.0)
    channel.send("ready")
    while True:
        seconds, made, start = channel.recv(), 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            task.step(0.0)
            made += 1
        channel.send(made / (time.perf_counter() - start))
