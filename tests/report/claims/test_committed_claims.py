"""The committed claims: each names runs that its sweep has, and the committed verdicts follow from the committed records."""

from pathlib import Path

import pytest

from lipschitz.report.claims.claims_file import Arm, Claim, read_claims
from lipschitz.report.claims.verdicts import decide
from lipschitz.report.claims.write import COMPARISONS, VERDICTS_CSV, comparisons_csv, verdicts_csv
from lipschitz.sweep.definition.sweep_file import load_sweep

ROOT = Path(__file__).parents[3]
FILE = read_claims(ROOT / "benchmarks" / "claims" / "claims.yaml")
OUT = ROOT / "results" / "claims"


@pytest.mark.parametrize("name", FILE.experiments)
def test_every_arm_has_five_runs_of_its_sweep(name: str) -> None:
    sweep = load_sweep(ROOT / FILE.experiments[name].sweep)
    runs = [run.labels() | {"seed": str(run.seed)} for run in sweep.runs]
    for claim in (claim for claim in FILE.claims if claim.experiment == name):
        for place in claim.on:
            for labels in FILE.places[place].values():
                for arm in (arm for arm in claim.arms if isinstance(arm, Arm)):
                    wanted = {**labels, **claim.given, **arm.runs}
                    found = [run for run in runs if wanted.items() <= run.items()]
                    seeds = [run["seed"] for run in found]
                    assert claim.correlated or len(seeds) == len(set(seeds)) >= 5, f"{claim.id}: {wanted}"
                    _check_step(claim, arm, sweep.runs, wanted)
                for constraint in claim.over:
                    wanted = {**labels, **claim.given, "constraint": constraint}
                    assert sum(wanted.items() <= run.items() for run in runs) >= 5, f"{claim.id}: {wanted}"


@pytest.mark.parametrize("claim", FILE.claims, ids=lambda claim: claim.id)
def test_two_arms_are_compared_with_a_margin(claim: Claim) -> None:
    assert claim.margin is not None or claim.correlated or not isinstance(claim.arms[1], Arm)


def _check_step(claim: Claim, arm: Arm, runs: tuple, wanted: dict[str, str]) -> None:
    step = claim.step if arm.step is None else arm.step
    if step is None:
        return
    for run in runs:
        if wanted.items() <= run.labels().items():
            assert step % run.evaluation.every == 0, f"{claim.id}: step {step} is not evaluated"
            assert step < run.training.steps, f"{claim.id}: step {step} is not reached"


def test_verdicts_follow_from_the_committed_records() -> None:
    decided = decide(FILE, ROOT)
    assert (OUT / VERDICTS_CSV).read_text() == verdicts_csv(FILE, decided)
    assert (OUT / COMPARISONS).read_text() == comparisons_csv(decided)


def test_a_claim_is_one_sentence_and_ids_are_in_the_page() -> None:
    page = (OUT / "index.html").read_text()
    for claim in FILE.claims:
        assert claim.claim.endswith(".")
        assert f'id="{claim.id}"' in page
