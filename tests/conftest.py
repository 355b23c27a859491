"""All tests run with one torch thread and a temporary cache folder that the session shares.

``pytest tests/test_contracts.py --constraint path/to/file.py:ClassName`` runs the contract tests over your own method,
``pytest tests/test_extension_contracts.py --dataset ... --model ... --loss ... --metric ...`` those of what else you add.
"""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from brief_search import search_briefly

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--constraint",
        action="append",
        default=[],
        metavar="FILE.py:CLASS",
        help="Test this method only; its file is executed. May be given several times.",
    )
    for noun in ("dataset", "model", "loss", "metric"):
        parser.addoption(
            f"--{noun}",
            action="append",
            default=[],
            metavar="FILE.py:CLASS",
            help=f"Test this {noun} in tests/test_extension_contracts.py, by file or entry point.",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Add the given methods to the catalogue, where the contract tests find them. An error is one line."""
    # Tests that run in the background, or under nohup, would inherit that these are ignored.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    for reference in config.getoption("--constraint"):
        from lipschitz.constraints.base import CONSTRAINTS
        from lipschitz.errors import InputError

        try:
            kind = CONSTRAINTS.called(reference)
        except InputError as error:
            raise pytest.UsageError(str(error)) from None
        CONSTRAINTS.catalogue[kind.name()] = kind


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """If methods are given, deselect the tests of all other constraints."""
    given = {reference.rpartition(":")[2] for reference in config.getoption("--constraint")}
    if not given:
        return
    from lipschitz.constraints.base import CONSTRAINTS

    others = set(CONSTRAINTS) - given
    kinds = [item.callspec.params.get("kind") if hasattr(item, "callspec") else None for item in items]
    config.hook.pytest_deselected(items=[item for item, kind in zip(items, kinds, strict=True) if kind in others])
    items[:] = [item for item, kind in zip(items, kinds, strict=True) if kind not in others]


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    # An environment variable reaches subprocesses, too. The reference classifier is trained once in a session.
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """What `os.fsync` does to a file or a folder shows after a power cut only; its other errors stay."""
    fsync = os.fsync

    def checked(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", checked)
        yield


@pytest.fixture(autouse=True)
def gpu_or_skip(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip(f"needs a CUDA device; torch {torch.__version__} finds none here")


@pytest.fixture
def brief_bracket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search for the bounds of a network with little effort: for tests that measure networks and look at other things."""
    search_briefly(monkeypatch)


@pytest.fixture(scope="module")
def brief_brackets() -> Iterator[None]:
    """The same for all tests and fixtures of a module."""
    with pytest.MonkeyPatch.context() as patch:
        search_briefly(patch)
        yield


@pytest.fixture
def contradictions_allowed() -> None:
    """For tests of what is said where a lower bound is above an upper one; in all others that is an error."""


@pytest.fixture(autouse=True)
def contradicted_bounds_are_errors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lower: float, upper: float) -> str:
        raise AssertionError(f"the lower bound {lower!r} is above the upper bound {upper!r}")

    if "contradictions_allowed" not in request.fixturenames:
        monkeypatch.setattr("lipschitz.estimation.bracket.contradiction", fail)
