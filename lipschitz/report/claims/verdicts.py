"""Decide claims: Holm's correction over all comparisons of an experiment, and one verdict from all starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from lipschitz.report.claims.claims_file import Claim, ClaimsFile
from lipschitz.report.claims.comparisons import Comparison, compare
from lipschitz.report.claims.values import Values
from lipschitz.report.statistics.significance import LEVEL, holm

Verdict = Literal["true", "false", "depends", "undecided", "not run"]
VERDICTS: tuple[Verdict, ...] = ("true", "false", "depends", "undecided", "not run")


class Tested(NamedTuple):
    """A comparison, its verdict, and the smallest corrected p-value of those that decide it."""

    comparison: Comparison
    verdict: Verdict
    corrected: float


class Decided(NamedTuple):
    """A claim with its verdict, and the comparisons that it rests on."""

    claim: Claim
    verdict: Verdict
    tested: list[Tested]
    family: int
    """Number of hypotheses of the experiment, which the correction is for."""


def decide(file: ClaimsFile, root: Path) -> list[Decided]:
    """Return the verdict on each claim, in the order of the file; results folders are below ``root``.

    Raises:
        InputError: records cannot be read, or labels name several configurations.
    """
    found: dict[str, list[Tested]] = {}
    families: dict[str, int] = {}
    for name, experiment in file.experiments.items():
        values = Values.read(root / experiment.results)
        claims = [claim for claim in file.claims if claim.experiment == name]
        if values is None:
            continue
        comparisons = [
            compare(claim, values, place, start, labels)
            for claim in claims
            for place in claim.on
            for start, labels in file.places[place].items()
        ]
        families[name] = sum(len(one.hypotheses) for one in comparisons)
        for one in corrected(comparisons):
            found.setdefault(one.comparison.claim, []).append(one)
    return [
        Decided(claim, together(found.get(claim.id, [])), found.get(claim.id, []), families.get(claim.experiment, 0))
        for claim in file.claims
    ]


def corrected(comparisons: list[Comparison]) -> list[Tested]:
    """Decide each comparison at 5 %, with Holm's correction over all hypotheses of all of them."""
    p_values = np.array([one.p for comparison in comparisons for one in comparison.hypotheses], float)
    adjusted = iter(holm(p_values).tolist() if len(p_values) else [])
    decided = []
    for comparison in comparisons:
        hypotheses = [(one.supports, next(adjusted)) for one in comparison.hypotheses]
        rejected = {supports for supports, p in hypotheses if p < LEVEL}
        verdict: Verdict = "undecided"
        if comparison.reason == "no runs":
            verdict = "not run"
        # A difference that is certain, but was found smaller than the margin, is not yet what the claim says.
        elif rejected == {True} and comparison.beyond:
            verdict = "true"
        # An effect that is there, but smaller than the margin, is not what the claim says.
        elif False in rejected:
            verdict = "false"
        decided.append(Tested(comparison, verdict, min((p for _, p in hypotheses), default=float("nan"))))
    return decided


def together(tested: list[Tested]) -> Verdict:
    """Return the verdict on a claim from those on its starts and data sets.

    ``true`` and ``false`` need all of them to agree. ``depends``: some are true and some are false, so that the claim,
    which names no start and no data set, does not hold as it stands.
    """
    found = {one.verdict for one in tested}
    if not found or "not run" in found:
        return "not run"
    if {"true", "false"} <= found:
        return "depends"
    return found.pop() if len(found) == 1 else "undecided"


def counts(decided: list[Decided]) -> Mapping[Verdict, int]:
    """Return how many claims have each verdict."""
    return {verdict: sum(one.verdict == verdict for one in decided) for verdict in VERDICTS}
