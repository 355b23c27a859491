"""Funnels by formula and as published: optimal transport, files and their errors."""

import math
import os
import pickle
import zipfile

import pytest
import torch
from pydantic import ValidationError
from scipy.optimize import linear_sum_assignment
from torch.testing import assert_close

from lipschitz.datasets.transport.funnels import PUBLISHED_HASHES, Funnels
from lipschitz.datasets.transport.rays import HALF, Geometry
from lipschitz.errors import InputError

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def assigned(x, y):
    costs = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    return float(costs[linear_sum_assignment(costs)].mean())


def test_centres_and_ends_of_rays_are_not_moved():
    pair = Funnels(dim=3, width=8).load(None, CPU)
    centers, _ = Funnels(dim=3, width=8)._drawn()
    for dtype in (torch.float32, torch.float64):
        y = centers.to(dtype)
        assert torch.equal(pair.move(y), y)
        assert pair.slope(y).isfinite().all()
        assert pair.slope(y).norm(dim=1).max() <= 1 + 1e-6
    corners = HALF * torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]])
    assert torch.allclose(pair.move(corners), corners, atol=1e-5)


@pytest.mark.parametrize("width", [4, 16])
def test_discrete_optimal_transport_converges_to_w1(width):
    pair, generator = Funnels(width=width).load(None, CPU), rng()
    excesses = []
    for n in (100, 400, 800):
        x, y = pair.plan(n, generator).source, pair.plan(n, generator).target
        at_x, at_y = pair.potential(x), pair.potential(y)
        primal, dual = assigned(x, y), float(at_x.mean() - at_y.mean())
        # No 1-Lipschitz function separates two samples by more than their W1.
        assert primal >= dual - 1e-12
        assert dual == pytest.approx(pair.w1, abs=4 * math.sqrt(float(at_x.var() + at_y.var()) / n))
        excesses.append(primal - dual)
        # |W1(P_n, Q_n) - W1(P, Q)| <= W1(P_n, P) + W1(Q_n, Q), each below the mean W1 of two samples of one law.
        noise = assigned(x, pair.plan(n, generator).source) + assigned(y, pair.plan(n, generator).target)
        assert abs(primal - pair.w1) < noise
    # The excess of discrete transport over the dual is the bias of the samples, which vanishes as n grows.
    assert excesses[0] > excesses[1] > excesses[2]
    assert excesses[2] < 0.25 * excesses[0]
    assert excesses[2] < 0.1 * pair.w1


def test_centres_biases_and_q_are_distributed_as_in_the_paper():
    centers, biases = Funnels(dim=64, width=256)._drawn()
    assert centers.abs().max() <= HALF
    assert float(centers.mean()) == pytest.approx(0, abs=0.05)
    assert float(centers.std()) == pytest.approx(2 * HALF / math.sqrt(12), rel=0.02)
    assert float(biases.mean()) == pytest.approx(0, abs=0.03)
    assert float(biases.std()) == pytest.approx(0.1, rel=0.15)
    y = Funnels(dim=2, width=4).load(None, CPU).target(20_000, rng())
    assert y.abs().max() <= HALF
    assert y.std(dim=0).tolist() == pytest.approx([2 * HALF / math.sqrt(12)] * 2, rel=0.02)


def test_the_hash_depends_on_seed_degree_and_width():
    hashes = {Funnels(**fields).load(None, CPU).hash for fields in ({}, {"seed": 1}, {"degree": 7.0}, {"width": 5})}
    assert len(hashes) == 4


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "funnels" / "dim_2" / "width_4.pt"
    path.parent.mkdir(parents=True)
    return path


def state(**changed):
    centers, biases = Funnels(dim=2, width=4)._drawn()
    return {"net.centers": centers.float(), "net.bias": biases.float(), **changed}


def refusal(root, **fields):
    with pytest.raises(InputError) as caught:
        Funnels(published=True, **fields).load(root, CPU)
    message = str(caught.value)
    assert "\n" not in message
    return message


def expect(monkeypatch, numbers):
    geometry = Geometry(numbers["net.centers"].double(), numbers["net.bias"].double(), 8.0)
    monkeypatch.setitem(PUBLISHED_HASHES, (2, 4), geometry.hash())


def test_an_unpublished_pair_of_the_same_shape_is_refused(tmp_path, path):
    torch.save(state(), path)
    assert "width_4.pt: not the published funnels; download benchmarks/nd/dim_2/width_4/" in refusal(tmp_path)


def test_a_published_pair_has_the_numbers_of_its_file(tmp_path, path, monkeypatch):
    formula = Funnels().load(None, CPU)
    torch.save(state(), path)
    expect(monkeypatch, state())
    rounded = Funnels(published=True).load(tmp_path, CPU)
    assert_close(rounded.source(50, rng()), formula.source(50, rng()), rtol=0, atol=1e-4)
    assert rounded.w1 == pytest.approx(formula.w1, rel=1e-6)
    assert rounded.hash != formula.hash
    centers, biases = Funnels()._drawn()
    expect(monkeypatch, {"net.centers": centers, "net.bias": biases})
    torch.save({"net.centers": centers.requires_grad_(), "net.bias": biases.requires_grad_()}, path)
    exact = Funnels(published=True).load(tmp_path, CPU)
    assert exact.hash == formula.hash
    assert torch.equal(exact.source(50, rng()), formula.source(50, rng()))


def test_the_default_root_is_the_folder_data(tmp_path, monkeypatch):
    path = tmp_path / "data" / "funnels" / "dim_2" / "width_4.pt"
    path.parent.mkdir(parents=True)
    torch.save(state(), path)
    expect(monkeypatch, state())
    monkeypatch.chdir(tmp_path)
    assert Funnels(published=True).load(None, CPU).shape == (2,)


def test_a_missing_file_is_named_with_its_origin(tmp_path):
    message = refusal(tmp_path, dim=16, width=64)
    assert str(tmp_path / "funnels" / "dim_16" / "width_64.pt") in message
    assert "--data-root" in message
    assert "benchmarks/nd/dim_16/width_64/deg_8_seed_987.pt of github.com/justkolesov/" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"version https://git-lfs.github.com/spec/v1\n", pickle.dumps(os.getcwd, protocol=2)],
    ids=["empty", "text", "pointer", "code"],
)
def test_a_file_that_torch_cannot_load_safely_is_refused(tmp_path, path, content):
    path.write_bytes(content)
    message = refusal(tmp_path)
    assert message.startswith(f"{path}: damaged, or not a state dict written by torch.save (")
    assert "weights_only" not in message


def test_a_truncated_file_is_called_damaged(tmp_path, path):
    torch.save(state(), path)
    path.write_bytes(path.read_bytes()[:-200])
    assert refusal(tmp_path).startswith(f"{path}: damaged")


def test_a_folder_instead_of_the_file_is_refused(tmp_path, path):
    path.mkdir()
    assert refusal(tmp_path) == f"{path}: cannot be read: Is a directory"


def test_a_pipe_instead_of_the_file_is_refused(path, tmp_path):
    os.mkfifo(path)
    assert refusal(tmp_path) == f"{path}: cannot be read: not a regular file"


def test_a_small_file_that_claims_more_than_any_published_one_is_not_loaded(tmp_path, path, monkeypatch):
    torch.save(state(**{"net.centers": torch.zeros(2**22, 2)}), tmp_path / "large.pt")
    with zipfile.ZipFile(tmp_path / "large.pt") as large, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as small:
        for member in large.infolist():
            small.writestr(member.filename, large.read(member))
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(torch, "load", None)
    assert refusal(tmp_path).startswith(f"{path}: damaged, or not a state dict written by torch.save (ValueError)")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (torch.zeros(4, 2), "expected net.centers and net.bias alone, got a Tensor"),
        ({}, "expected net.centers and net.bias alone, got nothing"),
        ({"net.centers": torch.zeros(4, 2)}, "expected net.centers and net.bias alone, got net.centers"),
        ({"\x1b[31m\n" * 20: 1}, "expected net.centers and net.bias alone, got \\x1b[31m \\x1b["),
        ({"net.0.weight": torch.zeros(4, 2), 7: 1}, "expected net.centers and net.bias alone, got net.0.weight, 7"),
    ],
)
def test_unexpected_content_is_named(tmp_path, path, content, found):
    torch.save(content, path)
    assert f"{path}: {found}" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            {"net.centers": torch.zeros(4, 3)},
            "net.centers: expected floating-point numbers (4, 2), got torch.float32 (4, 3)",
        ),
        (
            {"net.centers": torch.zeros(2, 4)},
            "net.centers: expected floating-point numbers (4, 2), got torch.float32 (2, 4)",
        ),
        ({"net.bias": torch.zeros(4, 1)}, "net.bias: expected floating-point numbers (4,), got torch.float32 (4, 1)"),
        (
            {"net.bias": torch.zeros(4, dtype=torch.int64)},
            "net.bias: expected floating-point numbers (4,), got torch.int64 (4,)",
        ),
        (
            {"net.bias": torch.zeros(4).to_sparse()},
            "net.bias: expected floating-point numbers (4,), got torch.float32 (4,)",
        ),
        (
            {"net.bias": torch.zeros(4, device="meta")},
            "net.bias: expected floating-point numbers (4,), got torch.float32 (4,)",
        ),
        ({"net.bias": 0.5}, "net.bias: expected floating-point numbers (4,), got 0.5"),
        (
            {"net.centers": torch.full((4, 2), 2.6)},
            "net.centers: expected finite numbers from -2.5 to 2.5",
        ),
        ({"net.centers": torch.full((4, 2), math.nan)}, "net.centers: expected finite numbers"),
        ({"net.bias": torch.full((4,), math.inf)}, "net.bias: expected finite numbers"),
    ],
)
def test_unexpected_tensors_are_named(tmp_path, path, changed, found):
    torch.save(state(**changed), path)
    assert f"{path}: {found}" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"degree": 4.0}, "degree 8 and no seed; leave out degree"),
        ({"seed": 1}, "leave out seed"),
        ({"degree": 4.0, "seed": 1}, "leave out degree and seed"),
        (
            {"dim": 3},
            "published funnels of dim 3 and width 4 are not supported; supported: dim 2, 4, 16, 64, 128, width 4, 16, 64, 256",
        ),
        ({"width": 5}, "published funnels of dim 2 and width 5 are not supported"),
    ],
)
def test_fields_that_were_not_published_are_refused(fields, found):
    with pytest.raises(ValidationError, match=found):
        Funnels(published=True, **fields)
    assert Funnels(**fields).changed() == fields


@pytest.mark.parametrize("fields", [{"dim": 0}, {"width": 0}, {"degree": 1.0}, {"degree": 0.5}, {"seed": -1}])
def test_invalid_fields_are_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Funnels(**fields)
