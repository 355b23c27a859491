import pytest

from lipschitz.report.reading.display_names import (
    SettingLabel,
    bare_name,
    display_names,
    label_in_words,
    own_dataset_names,
    pair_name,
    parse_setting,
    setting_name,
)


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
    assert label_in_words(label) == shown


def test_a_bare_name_has_no_arguments() -> None:
    assert [bare_name(label) for label in ("aol", "sngan(n_fake=5000)", "a(c=1)+b(d=2)")] == ["aol", "sngan", "a"]


def test_a_pair_says_its_dimension_and_width_even_by_default() -> None:
    default = {"name": "funnels", "dim": 2, "width": 4, "published": False}
    assert pair_name("funnels", default) == "funnels, dim 2, 4 funnels"
    label = "funnels(width=64, degree=4.0, published=True)"
    assert pair_name(label, default | {"width": 64}) == "published funnels, dim 2, 64 funnels, degree 4.0"
    assert pair_name("tubes", {"name": "tubes", "dim": 2, "width": 4}) == "tubes, dim 2, width 4"
    assert pair_name("line(scale=0.5)", {"name": "line", "scale": 0.5}) == "line, scale 0.5"


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
    assert setting_name(label, definition) == shown


def test_labels_of_generation_are_read_as_they_are() -> None:
    row = {"dataset": "funnels", "model": "critic", "setting": "adam(n_dis=5)", "setting_name": "adam(n_dis=5)"}
    row |= {"definition": {}}
    assert display_names([row | {"task": "generation"}]) == {}
    assert display_names([row | {"task": "transport"}])["adam(n_dis=5)"] == "adam, n_dis 5"


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
    assert own_dataset_names(dict(zip(labels, datasets, strict=True)), taken) == dict(zip(labels, shown, strict=True))


def test_a_name_that_cannot_be_told_apart_is_the_label() -> None:
    assert own_dataset_names({"folder(folder=mnist)": own("mnist")}, ["mnist"]) == {
        "folder(folder=mnist)": "folder(folder=mnist)"
    }


def test_both_tasks_show_short_names() -> None:
    row = {"task": "generation", "model": "dcgan", "setting": "C"}
    label = "npz(file=/long/path/faces.npz, num_classes=10)"
    rows = [
        row | {"dataset": label, "definition": {"dataset": own("/long/path/faces.npz", num_classes=10)}},
        row | {"dataset": "faces", "definition": {"dataset": {"name": "faces"}}},
    ]
    assert display_names(rows[:1]) == {label: "faces"}
    assert display_names(rows) == {label: "path/faces"}


@pytest.mark.parametrize(
    ("label", "name", "precision"),
    [
        ("C", "C", ""),
        ("C [bf16]", "C", "bf16"),
        ("adam(betas=[0.0, 0.9]) [bf16, channels_last]", "adam(betas=[0.0, 0.9])", "bf16, channels_last"),
        ("adam(rates=[[1], [2]])", "adam(rates=[[1], [2]])", ""),
    ],
)
def test_the_label_of_a_setting_is_a_name_and_a_precision(label: str, name: str, precision: str) -> None:
    parsed = parse_setting(label)
    assert parsed == SettingLabel(name, precision, "")
    assert (parsed.recorded, parsed.full) == (label, label)
    extra = parsed._replace(extra="training.batch_size=7")
    assert (extra.recorded, extra.full) == (label, f"{label} [training.batch_size=7]")


def test_a_label_of_the_sweep_file_is_shown_with_what_was_added_to_it() -> None:
    row = {"task": "generation", "dataset": "digits", "model": "dcgan with aol in G", "constraint": "aol+none"}
    row |= {"loss": "hinge", "setting": "C [bf16]", "setting_name": "C", "definition": {}}
    given = {"model": {"dcgan": "CNN"}, "constraint": {"aol": "AOL"}, "setting": {"C": "Setting C"}, "loss": {}}
    assert display_names([row], given) == {
        "dcgan with aol in G": "CNN with aol in G",
        "C [bf16]": "Setting C [bf16]",
        "C": "Setting C",
    }
