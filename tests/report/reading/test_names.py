import pytest

from lipschitz.report.reading.names import files, names, pair, setting, words


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


def own(path: str, **fields: object) -> dict[str, object]:
    kind, key = ("npz", "file") if path.endswith(".npz") else ("folder", "folder")
    return {"name": kind, key: path, "size": 32, "num_classes": None} | fields


@pytest.mark.parametrize(
    ("datasets", "taken", "shown"),
    [
        ([own("/data/of/mine/faces.npz")], [], ["faces"]),
        ([own("/data/of/mine/v1.5"), own("pets")], [], ["v1.5", "pets"]),
        ([own("/data/a/faces.npz"), own("/data/b/faces.npz")], [], ["a/faces", "b/faces"]),
        ([own("faces"), own("/data/faces")], [], ["faces", "data/faces"]),
        ([own("x/faces"), own("x/faces.npz")], [], ["x/faces", "x/faces.npz"]),
        ([own("/data/mnist")], ["mnist"], ["data/mnist"]),
        ([own("pets", size=32), own("pets", size=64)], [], ["pets, size 32", "pets, size 64"]),
        ([own("pets"), own("pets", num_classes=2)], [], ["pets, no num_classes", "pets, num_classes 2"]),
    ],
)
def test_a_data_set_of_the_user_s_is_shown_by_a_short_name_of_its_own(
    datasets: list[dict[str, object]], taken: list[str], shown: list[str]
) -> None:
    labels = [f"label {index}" for index in range(len(datasets))]
    assert files(dict(zip(labels, datasets, strict=True)), taken) == dict(zip(labels, shown, strict=True))


def test_a_name_that_cannot_be_told_apart_is_the_label() -> None:
    assert files({"folder(folder=mnist)": own("mnist")}, ["mnist"]) == {"folder(folder=mnist)": "folder(folder=mnist)"}


def test_both_tasks_show_short_names() -> None:
    row = {"task": "generation", "model": "dcgan", "setting": "C"}
    label = "npz(file=/long/path/faces.npz, num_classes=10)"
    rows = [
        row | {"dataset": label, "definition": {"dataset": own("/long/path/faces.npz", num_classes=10)}},
        row | {"dataset": "faces", "definition": {"dataset": {"name": "faces"}}},
    ]
    assert names(rows[:1]) == {label: "faces"}
    assert names(rows) == {label: "path/faces"}
