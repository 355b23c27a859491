"""Errors are one printable line; the first line of a message; what is shown of values and names."""

import pickle

import pytest

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.errors import OTHER_NAMES, InputError, first_line, found, nearest
from lipschitz.models.base import MODELS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Training


@pytest.mark.parametrize(
    ("error", "line", "with_type"),
    [
        (ValueError("one"), "one", "ValueError: one"),
        (ValueError("\none\ntwo"), "one", "ValueError: one"),
        (ValueError("one\r\ntwo"), "one", "ValueError: one"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError("\n"), "ValueError", "ValueError"),
        (KeyError("name"), "'name'", "KeyError: 'name'"),
    ],
)
def test_first_line_of_an_error(error, line, with_type):
    assert first_line(error) == line
    assert first_line(error, with_type=True) == with_type


def test_an_error_is_one_line_that_controls_no_terminal():
    error = InputError("a\nb\r\nc \x1b[31m\x00 \udcff \u202e \u2028é σ")
    assert str(error) == r"a b c \x1b[31m\x00 \udcff \u202e  é σ"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_was_found_is_cut():
    assert found("mlp") == "'mlp'"
    assert found("a\n\x1b") == r"'a\n\x1b'"
    assert found("a" * 100) == f"'{'a' * 58}…"
    assert len(found([0] * 1000)) == 60
    assert found(10**5000) == "a very large integer"


def test_of_many_names_the_nearest_are_shown():
    assert nearest("dog", ["cat", "dot"]) == "did you mean 'dot'? allowed: cat, dot"
    assert nearest("x" * 1000, ["cat", "dot"]) == "allowed: cat, dot"
    many = [f"method_{n}" for n in range(100)]
    assert nearest("methd_7", many) == (
        "did you mean 'method_7'? allowed: method_7, method_97, method_87, method_79 and 96 more"
    )
    assert nearest("methd_7", many, "lipschitz list methods") == (
        "did you mean 'method_7'? allowed: see `lipschitz list methods`"
    )
    assert nearest("", many, "lipschitz list methods").endswith(" and 96 more, see `lipschitz list methods`")


@pytest.mark.parametrize(
    ("name", "allowed", "meant"),
    [
        ("SN", CONSTRAINTS, "spectral_normalization"),
        ("wgan-gp", CONSTRAINTS, "gradient_penalty"),
        ("WGAN-GP", LOSSES, "wasserstein"),
        ("wgan", CONSTRAINTS, "weight_clipping"),
        ("n_critic", Setting.model_fields, "n_dis"),
        ("lambda", CONSTRAINTS["gradient_penalty"].model_fields, "weight"),
        ("learning-rate", Setting.model_fields, "lr"),
        ("Hinge", LOSSES, "hinge"),
        ("iterations", Training.model_fields, "steps"),
    ],
)
def test_a_name_from_other_code_is_understood(name, allowed, meant):
    assert nearest(name, allowed).startswith(f"did you mean '{meant}'? ")


def test_every_other_name_leads_to_a_name_of_this_package():
    known = {*CONSTRAINTS, *LOSSES, *MODELS, *Setting.model_fields, *Training.model_fields}
    known |= {field for kind in CONSTRAINTS.values() for field in kind.model_fields}
    assert {name for names in OTHER_NAMES.values() for name in names} <= known
