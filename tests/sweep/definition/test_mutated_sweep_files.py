"""A sweep file with faults put in is refused in one short line, or is a plan whose runs can be trained.

By default 150 mutated files; ``LIPSCHITZ_MUTATIONS=5000 pytest tests/sweep/definition/test_mutated_sweep_files.py`` tries
other and more of them.
"""

import math
import os
import re
from pathlib import Path
from random import Random
from textwrap import dedent
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweeps import ONE_CPU, SMALL

from lipschitz.errors import MESSAGE, InputError
from lipschitz.sweep.definition.dry_step import Configuration, StepFailure, step_failure
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.job import Job

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ASKED = os.environ.get("LIPSCHITZ_MUTATIONS")
TRAINED = 8
"""Of so many accepted files one is trained for a step."""
SMALL_FILES = [
    SMALL,
    SMALL.replace("eight_gaussians", "digits").replace("{mlp: {width: 8, depth: 1}}", "{dcgan: {width: 2}}"),
    SMALL.replace("generation", "transport").replace("[eight_gaussians]", "[{funnels: {dim: 3}}, line]").replace("mlp", "critic"),
    SMALL
    + """\
    losses: [hinge, wasserstein]
    settings: [C, {lr: 1e-3, betas: [0.0, 0.9], n_dis: 2, decay: linear}]
    generator_constraints: spectral_normalization
    parts:
      - &first
        seeds: &seeds [3]
        constraints: [[gradient_penalty, weight_clipping], {bjorck: {iterations: 3}}, {orthogonal: {coefficient: 2.0}}]
      - {<<: *first, seeds: [4], training: {ema: 0.9}}
""",
]  # fmt: skip
TEXTS = [*map(dedent, SMALL_FILES), *(path.read_text() for path in sorted(BENCHMARKS.glob("*.yaml")))]
TRIED = 4
"""Of so many configurations of a benchmark a step is tried: all are tried by its own test, and here its text matters."""
WEIGHTS = [4] * len(SMALL_FILES) + [1] * (len(TEXTS) - len(SMALL_FILES))
NUMBERS = [
    ".nan",
    ".inf",
    "-.inf",
    "0",
    "-1",
    "1",
    "0.5",
    "1e300",
    "-1e300",
    "1e-300",
    "2",
    str(2**64),
    str(10**30),
    "9" * 5000,
]
VALUES = [
    "[]",
    "{}",
    "null",
    "true",
    "''",
    "[[]]",
    "[0]",
    "{a: 1}",
    "2001-12-14",
    "1:30",
    "none",
    "auto",
    "digits",
    "resnet",
    "x" * 300,
]
INSERTED = ["!!set ", "!!python/name:os.system ", "!foo ", "&a ", "*a ", "<<: *a", "\t", "\0", "\x1b[31m", "\u202e", "'", '"', "[", "{", "]", "- ", "? ", ": ", "#", "---\n", "%YAML 1.1\n", "[" * 500, "\ufeff", "é\n"]  # fmt: skip
TOKEN = re.compile(r"[^\s\[\]{},:#]+|[\[\]{},:#]|\s+")
NUMBER = re.compile(r"-?\d[\d_]*(\.\d+)?(e-?\d+)?")


def mutated(text: str, random: Random) -> str:
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        text = random.choice([lines_mutated, tokens_mutated, number_mutated, number_mutated, value_mutated, value_mutated, inserted])(text, random)  # fmt: skip
    return text


def lines_mutated(text: str, random: Random) -> str:
    lines = text.splitlines()
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = " " * random.randrange(1, 5) + lines[at]
        case 4:
            lines[at] = lines[at].strip()
    return "\n".join(lines) + "\n"


def tokens_mutated(text: str, random: Random) -> str:
    tokens = TOKEN.findall(text) or [" "]
    at, other = random.randrange(len(tokens)), random.randrange(len(tokens))
    match random.randrange(3):
        case 0:
            del tokens[at]
        case 1:
            tokens.insert(other, tokens[at])
        case 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def number_mutated(text: str, random: Random) -> str:
    return replaced(text, random, NUMBERS, lambda token: NUMBER.fullmatch(token) is not None)


def value_mutated(text: str, random: Random) -> str:
    words = TOKEN.findall(text)
    names = [word for word in words if word[0].isalpha()] or ["a"]
    values = [*VALUES, random.choice(names), random.choice(names)]
    return replaced(text, random, values, lambda token: token[0].isalnum())


def inserted(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(INSERTED) + text[at:]


def replaced(text: str, random: Random, values: list[str], is_meant) -> str:
    tokens = TOKEN.findall(text)
    places = [at for at, token in enumerate(tokens) if is_meant(token)]
    if places:
        tokens[random.choice(places)] = random.choice(values)
    return "".join(tokens)


def planned(path: Path, most: float) -> Sweep | None:
    """Return the plan, or None where it is refused in one short line; a step of at ``most`` so many is tried."""
    tried: list[Configuration] = []

    def failure(configuration: Configuration) -> StepFailure | None:
        tried.append(configuration)
        return step_failure(configuration) if len(tried) <= most else None

    try:
        with mock.patch("lipschitz.sweep.definition.expansion.step_failure", failure):
            return load_sweep(path, out=path.parent / "out")
    except InputError as error:
        message = str(error)
        assert message.isprintable()
        assert message.startswith(f"{path}:")
        # A message may also name the file of a class.
        assert len(message.replace(f"{path.parent}/", "").removeprefix(path.name)) <= MESSAGE, message
        return None


def is_small(run: Run) -> bool:
    width = getattr(run.model, "width", None) or 0
    return run.dataset.kind != "images" and width <= 256 and run.training.batch_size <= 256 and run.setting.n_dis <= 5


def can_be_trained(run: Run) -> bool:
    """Return whether a step of the run does not fail, which the plan of a benchmark may not have tried."""
    parts = (run.task, run.dataset, run.model, run.constraints, run.loss, run.training, run.evaluation)
    return step_failure(Configuration(*parts, run.generator_constraints)) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated")


@settings(
    max_examples=int(ASKED or 150),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**63))
def test_a_mutated_file_is_refused_or_can_be_trained(folder: Path, seed: int) -> None:
    random = Random(seed)
    (index,) = random.choices(range(len(TEXTS)), WEIGHTS)
    path = folder / "sweep.yaml"
    path.write_bytes(mutated(TEXTS[index], random).encode())
    plan = planned(path, math.inf if index < len(SMALL_FILES) else TRIED)
    runs = [run for run in plan.runs if is_small(run)] if plan else []
    if runs and random.randrange(TRAINED) == 0 and can_be_trained(run := random.choice(runs)):
        Job(run, folder, ONE_CPU, "cpu", {}, "cpu").build().step(0.0)
