"""Published values as printed, and the published method of a run: a critic or a GAN on images."""

from dataclasses import replace

import pytest
from synthetic_images import CLIPPING as GAN_CLIPPING
from synthetic_images import DCGAN, LAYER_NORM, ORTHONORMAL, RESNET, STL10, Gan
from synthetic_images import PENALTY as GAN_PENALTY
from synthetic_transport import CLIPPING, METHODS, NORMALIZATION, PENALTY, SORTING, Method

from lipschitz.report.published.images import differences, published_values
from lipschitz.report.published.work import TRUE, read_published_work, works_on_images
from lipschitz.tasks.settings import SETTINGS as OURS

NAMES = ["clipping", "gradient penalty", "one-sided (LP)", "spectral normalization", "sorting out"]
MIYATO = read_published_work("miyato2018")
HINGE = Gan(loss="hinge")
RESIDUAL = Gan(loss="hinge", model=RESNET, setting="residual", training={"generator_batch_size": 128})


def method_of(gan: Gan) -> tuple[str, str, int] | None:
    found = MIYATO.method_of(gan.run())
    return None if found is None else (found.network, found.name, found.iterations)


def run_of(method: Method) -> dict[str, object]:
    return {
        "dataset": {"name": "funnels", "dim": 2, "width": 4, "degree": 8.0, "published": True},
        "model": {"name": "critic", "width": None, "depth": 2, "activation": method.activation},
        "constraints": [method.constraint],
    }


def test_published_values_and_budgets() -> None:
    values = read_published_work().values
    cosines = values[values["metric"] == "cosine"]
    assert len(cosines) == 5 * 5 * 2 == len(cosines.drop_duplicates(["dim", "width", "method"]))
    assert set(values["method"]) == {*NAMES, TRUE}
    table = values.set_index(["metric", "dim", "width", "method"])["value"]
    assert table["cosine", 2, 64, "gradient penalty"] == 0.355
    assert table["cosine", 128, 4, "one-sided (LP)"] == 0.926
    assert table["cosine", 64, 64, "sorting out"] == 0.834
    assert table["l2", 16, 4, "clipping"] == 6.90
    assert (table["w1_dual", 64, 64, TRUE], table["w1_dual", 16, 4, TRUE]) == (1.32, 1.94)
    budgets = {method.name: (method.iterations, method.other_iterations) for method in read_published_work().methods}
    found = [(5000, 5000), (60000, 40000), (60000, 40000), (10000, 5000), (25000, 15000)]
    assert budgets == dict(zip(NAMES, found, strict=True))


@pytest.mark.parametrize(("method", "name"), list(zip(METHODS, NAMES, strict=True)), ids=NAMES)
def test_the_published_method_of_a_run(method: Method, name: str) -> None:
    found = read_published_work().method_of(run_of(method))
    assert found is not None
    assert found.name == name


def test_a_missing_field_of_an_older_run_has_its_default() -> None:
    penalty, normalization = dict(PENALTY.constraint), dict(NORMALIZATION.constraint)
    del penalty["points"], penalty["one_sided"], normalization["operator"]
    for method, constraint in ((PENALTY, penalty), (NORMALIZATION, normalization)):
        found = read_published_work().method_of(run_of(replace(method, constraint=constraint)))
        assert found is not None
        assert found.name == NAMES[METHODS.index(method)]
    by_formula = run_of(PENALTY) | {"dataset": {"name": "funnels", "dim": 2, "width": 4, "degree": 8.0}}
    assert read_published_work().method_of(by_formula) is None, "that is the default"


@pytest.mark.parametrize(
    "run",
    [
        run_of(replace(SORTING, activation="relu")),
        run_of(replace(PENALTY, activation="full_sort")),
        run_of(Method("none", {"name": "none"})),
        run_of(PENALTY) | {"constraints": [PENALTY.constraint | {"points": "real"}]},
        run_of(PENALTY) | {"constraints": [PENALTY.constraint, NORMALIZATION.constraint]},
        run_of(CLIPPING) | {"dataset": {"name": "funnels", "dim": 2, "width": 4, "degree": 8.0, "published": False}},
        run_of(CLIPPING) | {"dataset": {"name": "translation", "dim": 2}},
    ],
)
def test_a_run_that_was_not_published_has_no_published_method(run: dict[str, object]) -> None:
    assert read_published_work().method_of(run) is None


@pytest.mark.parametrize(
    ("dataset", "network", "method", "fid", "score"),
    [
        ("cifar10", "", "real data", "7.8", "11.24 ± .12"),
        ("cifar10", "standard CNN", "weight clipping", "42.6", "6.41 ± .11"),
        ("cifar10", "standard CNN", "GAN-GP", "37.7", "6.93 ± .08"),
        ("stl10", "standard CNN", "WGAN-GP", "55.1", "8.42 ± .13"),
        ("cifar10", "standard CNN", "SN", "29.3", "7.42 ± .08"),
        ("stl10", "standard CNN", "SN, hinge", "43.2", "8.79 ± .14"),
        ("cifar10", "ResNet (Table 4)", "SN, hinge", "21.7 ± .21", "8.22 ± .05"),
        ("stl10", "ResNet (Table 5)", "orthonormal, hinge", "42.4 ± .99", "8.72 ± .06"),
    ],
)
def test_values_equal_those_printed_in_the_paper(dataset: str, network: str, method: str, fid: str, score: str) -> None:
    for metric, printed in (("fid", fid), ("inception_score", score)):
        row = published_values(MIYATO, metric).loc[(dataset, network, method)]
        assert row["printed"] == printed
        assert row["value"] == float(printed.split(" ")[0])


def test_every_row_of_the_paper_has_a_method() -> None:
    assert len(MIYATO.values) == 2 * (12 + 10)
    for name in works_on_images():
        work = read_published_work(name)
        methods = {(method.network, method.name) for method in work.methods}
        named = work.values[work.values["method"] != "real data"]
        assert set(zip(named["network"], named["method"], strict=True)) == methods
        assert set(work.values["metric"]) == set(work.measured)


def test_the_settings_of_the_paper_are_those_of_the_package() -> None:
    tried = next(method.tried for method in MIYATO.methods if method.name == "SN")
    ours = {name: one.model_dump(mode="json", include={"lr", "betas", "n_dis"}) for name, one in OURS.items()}
    assert tried == ours


@pytest.mark.parametrize(
    ("gan", "found"),
    [
        (Gan(), ("standard CNN", "SN", 100_000)),
        (HINGE, ("standard CNN", "SN, hinge", 100_000)),
        (replace(HINGE, dataset=STL10), ("standard CNN", "SN, hinge", 200_000)),
        (Gan(GAN_PENALTY), ("standard CNN", "GAN-GP", 100_000)),
        (Gan(GAN_PENALTY, "wasserstein"), ("standard CNN", "WGAN-GP", 100_000)),
        (Gan(GAN_CLIPPING), ("standard CNN", "weight clipping", 100_000)),
        (Gan(LAYER_NORM), ("standard CNN", "layer norm", 100_000)),
        (Gan(ORTHONORMAL), ("standard CNN", "orthonormal", 100_000)),
        (RESIDUAL, ("ResNet (Table 4)", "SN, hinge", 100_000)),
        (replace(RESIDUAL, constraint=ORTHONORMAL, dataset=STL10), ("ResNet (Table 5)", "orthonormal, hinge", 100_000)),
        (Gan(label="whatever it is called"), ("standard CNN", "SN", 100_000)),
    ],
)
def test_the_published_method_of_a_gan(gan: Gan, found: tuple[str, str, int]) -> None:
    assert method_of(gan) == found


@pytest.mark.parametrize(
    ("work", "gan", "name"),
    [
        ("miyato2018", Gan(), "SN"),
        ("miyato2018", HINGE, "SN, hinge"),
        ("miyato2018", replace(HINGE, dataset=STL10), "SN, hinge"),
        ("miyato2018", Gan(GAN_PENALTY), "GAN-GP"),
        ("miyato2018", Gan(GAN_PENALTY, "wasserstein"), "WGAN-GP"),
        ("miyato2018", RESIDUAL, "SN, hinge"),
        ("mimicry2020", RESIDUAL, "SN, hinge"),
        ("mimicry2020", replace(RESIDUAL, constraint=GAN_PENALTY, loss="wasserstein"), "WGAN-GP"),
    ],
)
def test_a_missing_field_of_an_older_gan_has_its_default(work: str, gan: Gan, name: str) -> None:
    run = gan.run()
    del run["generator_constraints"], run["model"]["conditional"]
    for field in ("operator", "points", "one_sided"):
        run["constraints"][0].pop(field, None)
    method = read_published_work(work).method_of(run)
    assert method is not None
    assert method.name == name


@pytest.mark.parametrize(
    ("gan", "found"),
    [
        (Gan(), ()),
        (RESIDUAL, ()),
        (replace(RESIDUAL, model=RESNET | {"width": 128, "layout": "table_4"}), ()),
        (replace(RESIDUAL, model=RESNET | {"output_bias": False}), ()),
        (replace(RESIDUAL, model=RESNET | {"output_bias": True}), ("output_bias true for false",)),
        (Gan(training={"generator_batch_size": 64}), ()),
        (Gan(steps=20, model=DCGAN | {"width": 16}), ("steps 20 for 100000", "width 16 for 64")),
        (replace(HINGE, dataset=STL10, steps=100_000), ("steps 100000 for 200000",)),
        (
            replace(RESIDUAL, model=RESNET | {"width": 16}, training={}),
            ("width 16 for 128", "generator_batch_size null for 128"),
        ),
        (Gan(GAN_PENALTY | {"weight": 1.0}), ("weight 1.0 for 10.0",)),
        (Gan(training={"batch_size": 32}), ("batch_size 32 for 64",)),
        (Gan(training={"precision": "float32"}), ()),
        (Gan(training={"precision": "bf16"}), ("precision bf16 for float32",)),
        (Gan(setting="gentle"), ("lr 0.0001, betas [0.0, 0.9], n_dis 1 for one of A, B, C, D, E, F",)),
        (replace(RESIDUAL, setting="gentle"), ("lr 0.0001 for 0.0002", "n_dis 1 for 5", "decay none for linear")),
    ],
)
def test_differences_of_a_gan_from_the_published_one(gan: Gan, found: tuple[str, ...]) -> None:
    method = MIYATO.method_of(gan.run())
    assert method is not None
    assert differences(method, gan.run(), gan.steps) == found
