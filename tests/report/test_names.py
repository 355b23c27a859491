import pytest

from lipschitz.report.names import names, pair, setting, words


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("adam(betas=[0.0, 0.9])", "adam, betas 0/0.9"),
        ("adam(lr=0.001, betas=[0.0, 0.9], decay=linear)", "adam, lr 0.001, betas 0/0.9, decay linear"),
        ("adam(n_dis=5) [training.steps=10]", "adam, n_dis 5 [training.steps=10]"),
        ("critic(activation=full_sort)", "critic, activation full_sort"),
        ("C", "C"),
        ("path/to/file.py:Own(c=1)", "path/to/file.py:Own(c=1)"),
    ],
)
def test_a_label_is_read_as_words(label: str, shown: str) -> None:
    assert words(label) == shown


def test_a_pair_says_its_dimension_and_width_even_by_default() -> None:
    default = {"name": "funnels", "dim": 2, "width": 4, "published": False}
    assert pair("funnels", default) == "funnels, dim 2, 4 funnels"
    label = "funnels(width=64, degree=4.0, published=True)"
    assert pair(label, default | {"width": 64}) == "published funnels, dim 2, 64 funnels, degree 4.0"
    assert pair("tubes", {"name": "tubes", "dim": 2, "width": 4}) == "tubes, dim 2, width 4"
    assert pair("line(scale=0.5)", {"name": "line", "scale": 0.5}) == "line, scale 0.5"


@pytest.mark.parametrize(
    ("label", "definition", "shown"),
    [
        ("adam(betas=[0.0, 0.9])", {"optimiser": "adam", "lr": 2e-4}, "adam, rate 0.0002, betas 0/0.9"),
        ("adam(lr=0.001, n_dis=5)", {"optimiser": "adam", "lr": 1e-3}, "adam, rate 0.001, n_dis 5"),
        ("adam", {"optimiser": "adam", "lr": 1e-4}, "adam, rate 0.0001"),
        ("C", {"optimiser": "adam", "lr": 2e-4}, "C"),
        ("adam(n_dis=5)", {}, "adam, n_dis 5"),
    ],
)
def test_a_setting_says_its_rate(label: str, definition: dict[str, object], shown: str) -> None:
    assert setting(label, definition) == shown


def test_labels_of_generation_are_read_as_they_are() -> None:
    row = {"dataset": "funnels", "model": "critic", "setting": "adam(n_dis=5)", "definition": {}}
    assert names([row | {"task": "generation"}]) == {}
    assert names([row | {"task": "transport"}])["adam(n_dis=5)"] == "adam, n_dis 5"
