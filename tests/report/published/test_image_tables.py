"""Tables of published and our values of GANs on images, compared by the published protocol only."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import Plan, write_sweep
from synthetic_images import (
    DCGAN,
    FID,
    LAYER_NORM,
    ORTHONORMAL,
    PENALTY,
    RESNET,
    SCORE,
    SN,
    STL10,
    Gan,
    write_gans,
)
from table_text import text_rows

from lipschitz.report.published import image_tables
from lipschitz.report.published.work import read_published_work, works_on_images
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.table import Table
from lipschitz.report.write import report

MIYATO = read_published_work("miyato2018")
T2 = 0.95 / math.sqrt(2 * 0.975 * 0.025)
"""Student's t at 0.975 with two degrees of freedom, in closed form."""
HINGE = Gan(loss="hinge")
RESIDUAL = Gan(loss="hinge", model=RESNET, setting="residual", training={"generator_batch_size": 128})


def tables_of(folder: Path, *gans: Gan, **chosen: Any) -> list[Table]:
    return image_tables.tables(Summary(load(write_gans(folder, gans, **chosen))))


@pytest.mark.parametrize(
    "gan",
    [
        Gan({"name": "none"}),
        Gan(PENALTY, "hinge"),
        Gan(PENALTY | {"one_sided": True}, "wasserstein"),
        Gan(PENALTY | {"points": "perturbed_real"}),
        Gan(SN | {"operator": "convolution"}),
        Gan(SN, "wasserstein"),
        Gan(SN, also=(PENALTY,)),
        Gan(generator=(SN,)),
        Gan(dataset={"name": "cifar100"}),
        Gan(dataset=STL10 | {"size": 32}),
        Gan(model=DCGAN | {"conditional": True}),
        replace(RESIDUAL, model=RESNET | {"conditional": True}),
        replace(RESIDUAL, model=RESNET | {"attention": 16}),
        replace(RESIDUAL, loss="non_saturating"),
    ],
)
def test_a_gan_that_was_not_published_has_no_table(gan: Gan, tmp_path: Path) -> None:
    assert MIYATO.method_of(gan.run()) is None
    assert tables_of(tmp_path, gan) == []


def test_every_work_notes_another_precision(tmp_path: Path) -> None:
    values = {FID: (21.0, 22.0, 23.0), "fid/modern": (16.0, 17.0, 18.0)}
    training = {**RESIDUAL.training, "precision": "tf32"}
    tables = tables_of(tmp_path, replace(RESIDUAL, values=values, training=training))
    assert len(tables) == len(works_on_images())
    for table in tables:
        assert text_rows(table)[-1]["As published"] == "no"
        assert any("precision tf32 for float32" in note for note in table.notes)


def test_a_row_by_hand(tmp_path: Path) -> None:
    """Seeds 28, 29 and 30, where 29.3 was published: of their logarithms the mean and s, and from it both intervals."""
    (table,) = tables_of(tmp_path, Gan())
    real, row = text_rows(table)
    logs = np.log([28, 29, 30])
    middle, half = logs.mean(), T2 * logs.std(ddof=1) * math.sqrt(4 / 3)
    assert row == {
        "Data set": "cifar10",
        "Network": "standard CNN",
        "Method": "SN",
        "Setting": "C",
        "Steps: published": "100000",
        "Steps: ours": "100000",
        "Published": "29.3",
        "Ours: mean": "29.0 [26.6, 31.6]",
        "Ours: prediction interval": f"{math.exp(middle - half):.1f} to {math.exp(middle + half):.1f}",
        "Ours: n": "3",
        "Ours: diverged": "0",
        "Ours - published": "-0.3",
        "In the 95 % prediction interval": "yes",
        "As published": "yes",
    }
    assert [f"{math.exp(middle + sign * half / 2):.1f}" for sign in (-1, 1)] == ["26.6", "31.6"]
    assert (real["Method"], real["Published"], real["Ours: mean"], real["Ours - published"]) == (
        "real data",
        "7.8",
        "7.5",
        "-0.3",
    )
    assert table.title == "FID/sngan ↓, published and ours: Miyato et al. 2018, arXiv:1802.05957, Table 2"
    assert "1 row run as published: 1 of 1 in the prediction interval." in table.notes
    assert not any(note.startswith("Differences") for note in table.notes)


def test_values_outside_of_the_interval_and_too_few_seeds(tmp_path: Path) -> None:
    outside = Gan(PENALTY, values={FID: (50.0, 50.1, 50.2)})
    few = Gan(PENALTY, "wasserstein", values={FID: (40.0, 41.0)})
    (table,) = tables_of(tmp_path, outside, few)
    found = {row["Method"]: row for row in text_rows(table)}
    assert found["GAN-GP"]["In the 95 % prediction interval"] == "no"
    assert found["WGAN-GP"]["In the 95 % prediction interval"] == "too few seeds"
    assert (found["WGAN-GP"]["Ours: n"], found["WGAN-GP"]["Ours: prediction interval"]) == ("2", "–")
    assert list(found) == ["real data", "GAN-GP", "WGAN-GP"]


def test_the_interval_of_a_score_is_clipped_at_one(tmp_path: Path) -> None:
    (table,) = tables_of(tmp_path, Gan(values={SCORE: (1.0, 1.5, 2.0)}))
    row = text_rows(table)[1]
    assert row["Ours: prediction interval"].startswith("1.00 to ")
    assert row["Published"] == "7.42 ± .08"


def test_diverged_seeds_are_counted_and_left_out_of_the_mean(tmp_path: Path) -> None:
    (table,) = tables_of(tmp_path, Gan(values={FID: (28.0, None, 30.0)}), Gan(PENALTY, values={FID: (None, None)}))
    penalty, row = text_rows(table)[1:]
    assert (row["Ours: mean"].split(" ")[0], row["Ours: n"], row["Ours: diverged"]) == ("29", "2", "1")
    assert (penalty["Ours: n"], penalty["Ours: diverged"]) == ("0", "2")
    assert penalty["In the 95 % prediction interval"] == "none finished"


@pytest.mark.parametrize("name", ["fid/modern", "fid/sngan/ema", "fid/sngan(n_real=8000)"])
def test_another_protocol_is_not_compared(tmp_path: Path, name: str) -> None:
    (table,) = tables_of(tmp_path / "alone", Gan(values={name: (28.0, 29.0, 30.0)}))
    row = text_rows(table)[1]
    assert (row["Ours: mean"], row["Ours: n"], row["Ours - published"]) == ("–", "0", "–")
    assert row["In the 95 % prediction interval"] == "not measured as published"
    assert f"Measured by another protocol, not comparable here: {name} on cifar10." in table.notes
    beside = Gan(values={name: (1.0, 1.0, 1.0), FID: (28.0, 29.0, 30.0)})
    (table,) = tables_of(tmp_path / "beside", beside)
    assert text_rows(table)[1]["Ours: mean"] == "29.0 [26.6, 31.6]"


def test_the_inception_score_does_not_depend_on_n_real(tmp_path: Path) -> None:
    variant = "sngan(n_real=8000)"
    values = {f"fid/{variant}": (43.0, 44.0, 45.0), f"inception_score/{variant}": (8.7, 8.8, 8.9)}
    fid, score = tables_of(tmp_path, replace(HINGE, dataset=STL10, steps=200_000, values=values))
    assert text_rows(fid)[1]["In the 95 % prediction interval"] == "not measured as published"
    assert text_rows(score)[1]["Ours: mean"] == "8.80 ± 0.25"
    assert text_rows(score)[1]["Steps: published"] == "200000"


def test_a_metric_that_was_not_measured_has_no_table(tmp_path: Path) -> None:
    assert tables_of(tmp_path / "other", Gan(values={"frechet_classifier": (1.0, 2.0)})) == []
    folder = write_sweep(tmp_path / "digits", Plan(("digits",), seeds=(0,), pictures=False))
    assert image_tables.tables(Summary(load(folder))) == []


def test_differences_are_noted_for_each_row(tmp_path: Path) -> None:
    small = {"steps": 20, "model": DCGAN | {"width": 16}}
    (table,) = tables_of(tmp_path, Gan(**small), Gan(PENALTY | {"weight": 1.0}, "wasserstein", **small))
    assert [row["As published"] for row in text_rows(table)[1:]] == ["no", "no"]
    said = (
        "Differences from the published runs: every row: steps 20 for 100000, width 16 for 64; "
        "WGAN-GP on cifar10, standard CNN: weight 1.0 for 10.0."
    )
    assert said in table.notes


def test_rows_with_differences_are_counted_separately(tmp_path: Path) -> None:
    far = {FID: (50.0, 50.1, 50.2)}
    gans = [Gan(), Gan(PENALTY, values=far), Gan(LAYER_NORM, values={FID: (30.0, 31.0)})]
    other = Gan(PENALTY, "wasserstein", values={FID: (40.1, 40.2, 40.3)}, steps=20)
    (table,) = tables_of(tmp_path, *gans, other)
    said = (
        "3 rows run as published: 1 of 2 in the prediction interval, 1 too few seeds; "
        "1 row run differently: 1 of 1 in the prediction interval."
    )
    assert table.notes[0] == said


def test_differences_that_no_setting_removes_are_noted(tmp_path: Path) -> None:
    (table,) = tables_of(tmp_path, Gan(ORTHONORMAL))
    assert text_rows(table)[1]["As published"] == "no"
    assert any("orthonormal in the paper" in note for note in table.notes)


def test_the_selected_setting_is_shown_with_the_metric_and_seeds_of_the_selection(tmp_path: Path) -> None:
    group = {"dataset": "cifar10", "model": "dcgan", "constraint": "gradient_penalty", "loss": "wasserstein"}
    choice: dict[str, Any] = {"group": group, "setting": "A", "metric": FID, "value": 40.0, "seeds": [100, 101]}
    tuned = [Gan(PENALTY, "wasserstein", {FID: (1.0, 1.0)}, setting=setting, first_seed=100) for setting in ("A", "C")]
    reported = Gan(PENALTY, "wasserstein", {FID: (39.0, 40.0, 41.0)}, setting="A")
    choice["runs"] = [identifier for gan in tuned for identifier in gan.ids]
    folder = write_gans(tmp_path, [*tuned, reported], [choice])
    assert tuned[0].configuration == reported.configuration
    (table,) = image_tables.tables(Summary(load(folder)))
    (row,) = text_rows(table)[1:]
    assert (row["Setting"], row["Ours: n"], row["Ours: mean"]) == ("A (chosen)", "3", "40.0 [37.6, 42.6]")
    assert "Chosen: the setting with the best fid/sngan on seeds 100, 101, which are in no mean." in table.notes


def test_the_best_of_several_published_settings_is_not_said_to_lie_in_the_interval(tmp_path: Path) -> None:
    claim, bias = "should lie if both are alike", "it was chosen by the reported trainings themselves"

    def said(folder: str, *gans: Gan) -> tuple[str, str]:
        (table, *_) = tables_of(tmp_path / folder, *gans)
        return table.caption, " ".join(table.notes)

    caption, notes = said("tried", Gan(), Gan(PENALTY))
    assert claim not in caption
    assert "On standard CNN a published value is the best of several settings" in notes
    assert bias in notes
    caption, notes = said("once", RESIDUAL)
    assert f"in which one published training, or the mean of several, {claim}" in caption
    assert bias not in notes
    caption, notes = said("both", Gan(), RESIDUAL)
    assert f"in which one published training on ResNet (Table 4), or the mean of several, {claim}" in caption
    assert "On standard CNN a published value" in notes


def test_settings_without_a_selection_have_a_row_each(tmp_path: Path) -> None:
    (table,) = tables_of(tmp_path, Gan(), Gan(setting="A"))
    assert [row["Setting"] for row in text_rows(table)[1:]] == ["C", "A"]
    assert any("the best of them is biased" in note for note in table.notes)


def test_several_constraints_of_one_published_method_have_a_row_each(tmp_path: Path) -> None:
    other = Gan(SN | {"power_iterations": 5}, label="spectral_normalization(power_iterations=5)")
    (table,) = tables_of(tmp_path, Gan(), other)
    labels = ["spectral_normalization", "spectral_normalization(power_iterations=5)"]
    assert [row["Constraint"] for row in text_rows(table)[1:]] == labels


def test_a_work_with_another_protocol_has_another_table(tmp_path: Path) -> None:
    values = {FID: (21.0, 22.0, 23.0), "fid/modern": (16.0, 17.0, 18.0)}
    paper, mimicry = tables_of(tmp_path, replace(RESIDUAL, values=values))
    assert text_rows(paper)[1]["Ours: mean"] == "22.0 [19.6, 24.6]"
    (row,) = text_rows(mimicry)
    assert (row["Published"], row["Ours: mean"]) == ("16.77 ± .04", "17.0 [14.7, 19.7]")
    assert mimicry.title.startswith("FID/modern")
    assert any("generator_batch_size 128 for 64" in note for note in mimicry.notes)


def test_the_report_has_the_table_in_its_page_and_files(tmp_path: Path) -> None:
    folder = write_gans(tmp_path, [Gan()])
    report(folder)
    assert "FID/sngan ↓, published and ours" in (folder / "table.md").read_text()
    assert "Miyato et al. 2018" in (folder / "table.tex").read_text()
    assert "U+" not in (folder / "table.tex").read_text()
    page = (folder / "index.html").read_text()
    assert '<h2 id="across">Across settings, data sets and models</h2>' in page
    assert json.loads((folder / "sweep.json").read_text())["chosen"] == []


def test_the_notes_say_what_the_released_code_does_otherwise(tmp_path: Path) -> None:
    (table,) = tables_of(tmp_path, Gan())
    (note,) = (note for note in table.notes if note.startswith("Released code: "))
    assert "5,860,865 weights" in note
    assert all(read_published_work(name).released == "" for name in works_on_images() if name != "miyato2018")
