"""What is measured of a discriminator, on one whose gradients are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lipschitz.estimation.sigma.layer_sigmas import LayerSigma
from lipschitz.tasks import measurement
from lipschitz.tasks.measurement import append_spectra, measure_discriminator, with_exact_constant


class HalfSquare(nn.Module):
    """D(x) = s |x|²/2: the gradient's norm is s |x|."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.scale.weight, 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.scale(x.square().sum(dim=1, keepdim=True) / 2)
        return output


@pytest.fixture
def measured_briefly() -> None:
    """The bounds are searched with the effort that users get."""


PLACES = {
    "real": torch.tensor([[3.0, 4.0], [0.0, 1.0]]),
    "fake": torch.tensor([[0.0, 2.0], [0.0, 0.0]]),
    "interpolated": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    "noise": torch.tensor([[30.0, 40.0], [0.0, 0.0]]),
}


def test_values_by_hand() -> None:
    values = measure_discriminator(HalfSquare(), PLACES).values
    # Steeper the further out, so that the search leaves the points, and no constant holds.
    assert values.pop("lipschitz_lower") > 10
    assert values == pytest.approx(
        {
            "sigma_reshaped/scale": 2,
            "sigma_operator/scale": 2,
            "effective_rank/scale": 1,
            "gradient_norm/real": 6,
            "gradient_norm_max/real": 10,
            "gradient_norm/fake": 2,
            "gradient_norm_max/fake": 4,
            "gradient_norm/interpolated": 2,
            "gradient_norm_max/interpolated": 2,
            "gradient_norm/noise": 50,
            "gradient_norm_max/noise": 100,
            "sigma_upper/scale": 2,
            "lipschitz_upper": math.inf,
            "lipschitz_upper_product": math.inf,
            "lipschitz_ratio": math.inf,
        }
    )


def test_it_is_measured_in_double_and_in_eval_mode_and_the_network_is_left_alone() -> None:
    seen = []

    class Witness(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((x.dtype, self.training))
            return x

    net = nn.Sequential(Witness(), nn.BatchNorm1d(2), nn.Linear(2, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measure_discriminator(net, PLACES)
    assert set(seen) == {(torch.float64, False)}
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    for name, value in net.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_the_lower_bound_counts_every_place_and_is_reduced_for_rounding() -> None:
    # Flat but where x exceeds 10, which the search, from the other places, does not find.
    net = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    net[0].weight.data, net[0].bias.data = torch.tensor([[5.0, 0.0]]), torch.tensor([-50.0])
    places = PLACES | {"noise": torch.tensor([[30.0, 0.0], [0.0, 0.0]])}
    found = measure_discriminator(net, places).values["lipschitz_lower"]
    assert found < 5
    assert found == pytest.approx(5, rel=1e-8)


def test_the_exact_constant_lies_in_the_bracket_or_there_is_a_reason() -> None:
    net = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    net[0].weight.data = torch.tensor([[3.0, 4.0]])
    measured = measure_discriminator(net, PLACES)
    exact, values = with_exact_constant(measured, net, (2,))
    assert values == {"lipschitz_exact": pytest.approx(5.0, rel=1e-12)}
    assert exact.values == measured.values | values
    assert exact.facts == measured.facts == {"upper_method": "product"}
    steeper = measured._replace(values=measured.values | {"lipschitz_lower": 6.0})
    without, none = with_exact_constant(steeper, net, (2,))
    assert without.values == steeper.values
    assert none == {}
    assert without.facts["no_exact"] == "found 5, outside of the bracket from 6 to 5"
    curved, none = with_exact_constant(measure_discriminator(HalfSquare(), PLACES), HalfSquare(), (2,))
    assert none == {}
    assert curved.facts["no_exact"] == "not piecewise linear: it uses torch's square"
    assert curved.facts["upper_reasons"]


def test_a_layer_whose_sigma_did_not_converge_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "layer_sigmas", lambda *_, **__: {"0": LayerSigma(1.0, 2.0, False)})
    net = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
    assert measure_discriminator(net, PLACES).facts["unconverged"] == ["0"]


def test_the_search_draws_from_the_given_stream() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    rng = torch.Generator().manual_seed(5)
    measure_discriminator(net, PLACES, rng=rng)
    assert not torch.equal(rng.get_state(), torch.Generator().manual_seed(5).get_state())


def test_spectra_are_kept_in_float32_one_row_an_evaluation() -> None:
    first, second = torch.tensor([2.0, 0.1], dtype=torch.float64), torch.tensor([3.0, 0.2], dtype=torch.float64)
    kept = append_spectra(append_spectra({}, {"0": first}), {"0": second})
    assert torch.equal(kept["0"], torch.stack([first, second]).float())


def test_the_steepest_of_all_classes_is_found_where_no_point_has_it() -> None:
    class Conditional(nn.Module):
        """Class y has slope y + 1 along the first axis, but the last class 9."""

        takes_labels = True

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding.from_pretrained(torch.tensor([[1.0], [2.0], [3.0], [9.0]]))

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return x[:, :1] * self.table(labels)

    measured = measure_discriminator(Conditional(), PLACES, labels=torch.tensor([0, 2]), classes=4)
    assert measured.values["gradient_norm_max/real"] == 3
    assert measured.values["lipschitz_lower"] == pytest.approx(9, rel=1e-8)
    # Without the number of classes the largest label is the last one.
    fewer = measure_discriminator(Conditional(), PLACES, labels=torch.tensor([0, 2]))
    assert fewer.values["lipschitz_lower"] == pytest.approx(3, rel=1e-8)


def test_a_linear_discriminator_s_constant_is_its_weight_s_norm() -> None:
    net = nn.Linear(2, 1)
    net.weight.data = torch.tensor([[3.0, 4.0]])
    values = measure_discriminator(net, PLACES).values
    assert values["lipschitz_lower"] == pytest.approx(5, rel=1e-6)
    assert values["lipschitz_upper"] == pytest.approx(5, rel=1e-6)
    assert values["lipschitz_ratio"] >= 1


def test_what_a_measurement_leaves_makes_the_next_one_start_where_it_ended() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 1))
    places = dict.fromkeys(("real", "fake", "interpolated"), torch.randn(3, 1, 4, 4))
    first = measure_discriminator(net, places)
    again = measure_discriminator(net, places, first.starts)
    assert list(first.starts) == ["0"]
    assert not torch.equal(again.starts["0"], first.starts["0"])
    assert again.values["sigma_operator/0"] == pytest.approx(first.values["sigma_operator/0"], rel=1e-3)
    assert first.spectra["0"].shape == (2,)


def test_sigma_of_a_kernel_is_the_first_of_its_spectrum() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 1))
    net[0].register_module("unused", nn.Linear(3, 3))
    places = dict.fromkeys(("real", "fake", "interpolated"), torch.randn(3, 1, 4, 4))
    measured = measure_discriminator(net, places)
    assert list(measured.spectra) == ["0", "2"]
    for name, values in measured.spectra.items():
        assert measured.values[f"sigma_reshaped/{name}"] == values[0].item()
        kernel = net.get_submodule(name).weight.detach().double().flatten(1).numpy()
        assert values[0].item() == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-12)


def test_the_eigenproblem_of_a_linear_layer_is_not_solved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    given, bounds = [], measurement.layer_bounds
    monkeypatch.setattr(
        measurement, "layer_bounds", lambda *arguments: given.append(arguments[2]) or bounds(*arguments)
    )
    measured = measure_discriminator(nn.Linear(2, 1), PLACES)
    assert given == [{"": pytest.approx(measured.values["sigma_reshaped/"])}]
