"""Sweeps that are judged by protocols: what a file may say, and what is refused before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command_line import lipschitz
from fake_inception import network
from sweeps import ONE_CPU, write

from lipschitz.errors import InputError
from lipschitz.features.protocols import SNGAN, Modern
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.input_checks import check_data, check_weights
from lipschitz.tasks.generation import inception_quality

IMAGES = """\
    name: small
    task: generation
    datasets: [digits]
    models: [{dcgan: {width: 2}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 2, batch_size: 8}
    evaluation: {every: 2, samples: 32, gradient_samples: 8, protocols: [{sngan: {n_real: 20, n_fake: 6, score_samples: 10}}]}
"""
ASKED = "[{sngan: {n_real: 20, n_fake: 6, score_samples: 10}}]"
LABEL = "sngan(n_real=20, n_fake=6, score_samples=10)"


def asking(protocols: str) -> str:
    assert ASKED in IMAGES
    return IMAGES.replace(ASKED, protocols)


def job_of(path: Path) -> Job:
    return Job(load_sweep(path).runs[0], path.parent / "out", ONE_CPU, "cpu", {})


def test_protocols_are_names_or_names_with_fields(tmp_path: Path) -> None:
    (run,) = load_sweep(write(tmp_path, asking("[sngan, modern, {modern: {n_fake: 10000}}]"))).runs
    assert run.evaluation.protocols == (SNGAN(), Modern(), Modern(n_fake=10_000))


def test_by_default_there_are_none_and_they_are_part_of_the_id(tmp_path: Path) -> None:
    texts = [asking("[]"), IMAGES.replace(f", protocols: {ASKED}", ""), asking("[sngan]"), asking("[modern]"), IMAGES]
    empty, absent, *others = (load_sweep(write(tmp_path, text)).runs[0] for text in texts)
    assert empty.id == absent.id
    assert absent.evaluation.protocols == ()
    assert len({run.id for run in (absent, *others)}) == 4


def test_the_definition_says_by_what_a_run_is_judged(tmp_path: Path) -> None:
    (run,) = load_sweep(write(tmp_path, IMAGES)).runs
    assert run.definition(2)["run"]["evaluation"]["protocols"] == [LABEL]


WRONG = {
    "an unknown protocol": ("[snagn]", "evaluation.protocols[0]: unknown protocol 'snagn'; did you mean 'sngan'?"),
    "an unknown field": ("[{sngan: {n_reel: 9}}]", "sngan.n_reel: unknown key 'n_reel'; did you mean 'n_real'?"),
    "too few to measure": ("[{sngan: {n_real: 4}}]", "n_real 4 and n_fake 5000 are too few for 5 neighbours; allowed: 6 or more"),
    "one twice": ("[sngan, sngan]", "evaluation.protocols: sngan is listed twice"),
    "a metric of another protocol": ("[sngan], select: fid/modern", "runs on digits cannot be selected by fid/modern; did you mean"),
    "a metric without its protocol": ("[sngan], select: fid", "runs on digits cannot be selected by fid; "),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    protocols, said = WRONG[case]
    path = write(tmp_path, asking(protocols))
    with pytest.raises(InputError) as error:
        load_sweep(path)
    assert str(error.value).startswith(f"{path}:8: evaluation.")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_points_have_no_protocol(tmp_path: Path) -> None:
    text = IMAGES.replace("[digits]", "[eight_gaussians]").replace("{dcgan: {width: 2}}", "mlp")
    with pytest.raises(InputError, match=r":8: evaluation.protocols: protocols compare images; eight_gaussians has"):
        load_sweep(write(tmp_path, text))


def test_images_without_labels_are_judged_by_protocols_or_by_a_random_network(tmp_path: Path) -> None:
    unlabelled = IMAGES.replace("[digits]", "[digits, celeba]")
    for text, first in ((unlabelled, "fid/"), (unlabelled.replace(f", protocols: {ASKED}", ""), "frechet_random")):
        run = load_sweep(write(tmp_path, text)).runs[-1]
        assert run.dataset.name() == "celeba"
        judges = run.task.judged_by(run.dataset, run.evaluation)
        assert judges[0].startswith(first)
        assert ("kid_random" in judges) == (first == "frechet_random")


def test_too_few_images_are_refused_by_the_data_that_lack_them(tmp_path: Path) -> None:
    assert list(check_data(load_sweep(write(tmp_path, IMAGES)), None)) == ["digits"]
    with pytest.raises(
        InputError, match=r":3: datasets\[0\]: digits: protocol modern needs 50,000 training images, found 901; allowed"
    ):
        check_data(load_sweep(write(tmp_path, asking("[modern]"))), None)


def test_weights_are_looked_for_where_a_run_needs_them_alone(tmp_path: Path) -> None:
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"others")
    check_weights(load_sweep(write(tmp_path, asking("[]"))), wrong)
    with pytest.raises(InputError, match=rf"^{wrong} does not hold the weights .* begins with"):
        check_weights(load_sweep(write(tmp_path, IMAGES)), wrong)


def test_a_sweep_without_weights_ends_before_it_writes(tmp_path: Path) -> None:
    path = write(tmp_path, IMAGES)
    before = sorted(tmp_path.iterdir())
    done = lipschitz("sweep", path, "--inception-weights", "absent.pth", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: --inception-weights: no file absent.pth; get it by 'lipschitz data inception'"
    )
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_job_is_judged_by_its_protocols_with_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path | None] = []

    def load(path: Path, device: torch.device) -> object:
        given.append(path)
        return network()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(inception_quality, "weights_file", lambda path: path)
    monkeypatch.setattr(inception_quality, "load_inception", load)
    text = IMAGES.replace("samples: 32,", f"samples: 32, select: '{'kid/' + LABEL}',")
    job = replace(job_of(write(tmp_path, text)), site=replace(ONE_CPU, inception_weights=tmp_path / "mine.pth"))
    task = job.build()
    assert task.selection.metric == f"kid/{LABEL}"
    assert not given
    assert {f"fid/{LABEL}", f"coverage/{LABEL}", "frechet_classifier"} < set(task.evaluate("step 0"))
    assert given == [tmp_path / "mine.pth"]
    assert task.facts()["protocols"][f"fid/{LABEL}"]["protocol"] == LABEL


def test_without_protocols_nothing_asks_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception_quality, "weights_file", None)
    task = job_of(write(tmp_path, asking("[]"))).build()
    assert task.selection.metric == "frechet_classifier"
    assert not [name for name in task.evaluate("step 0") if "sngan" in name]
