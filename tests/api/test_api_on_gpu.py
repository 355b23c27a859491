"""The API on a GPU: random points are drawn there, and trained networks are loaded there."""

from pathlib import Path

import pytest
import torch
from finished_run import finished_run
from torch import nn

import lipschitz as lip

POINTS = "name: points\ntask: generation\ndatasets: [eight_gaussians]\nconstraints: [cayley]\ntraining: {steps: 5}\n"


@pytest.mark.gpu
def test_a_constrained_network_draws_from_the_generator_of_its_device() -> None:
    bend = nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 1))
    net = lip.constrain(bend, ["spectral_normalization", "gradient_penalty"], (2,)).to("cuda")
    real, fake = torch.zeros(4, 2, device="cuda"), torch.ones(4, 2, device="cuda")
    net.update()
    for device in ("cuda", torch.device("cuda", 0)):
        torch.cuda.manual_seed(3)
        drawn = net.penalty(real.to(device), fake)
        torch.cuda.manual_seed(3)
        assert torch.equal(net.penalty(real, fake), drawn)
        assert not torch.equal(net.penalty(real, fake), drawn)
    assert drawn.device.type == "cuda"
    net.project()


@pytest.mark.gpu
def test_a_run_is_loaded_on_the_device_and_generates_from_the_latents_of_the_cpu(tmp_path: Path) -> None:
    path, _ = finished_run(POINTS, tmp_path)
    here, there = lip.load_run(path), lip.load_run(path, "cuda")
    samples = there.generate(300)
    assert samples.device.type == "cuda"
    torch.testing.assert_close(samples.cpu(), here.generate(300))
