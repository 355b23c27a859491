"""Protocols: recorded facts, variants and refusals."""

import pytest
from pydantic import ValidationError

from lipschitz.errors import InputError
from lipschitz.features.protocols import PROTOCOLS, SNGAN, Modern

METRICS = ["fid", "inception_score", "kid", "precision", "recall", "density", "coverage"]
SHA256 = "0123456789abcdef" * 4


def test_facts_of_sngan():
    facts = SNGAN().facts(SHA256, floor=50_000)
    assert facts["fid/sngan"] == {
        "protocol": "sngan",
        "features": "Inception network of the FID (2015), SHA-256 0123456789ab",
        "preprocessing": "pytorch_fid",
        "quantisation": "8 bit",
        "reference": "held-out images",
        "n_real": 10_000,
        "n_fake": 5_000,
        "n_floor": 5_000,
    }
    score = facts["inception_score/sngan"]
    # Ten scores of 5,000 images each.
    assert (score["n_fake"], score["splits"]) == (50_000, 10)
    assert "reference" not in score
    assert SNGAN().n_generated == 50_000


def test_facts_of_modern():
    facts = Modern().facts(SHA256, floor=10_000)
    fid, kid = facts["fid/modern"], facts["kid/modern"]
    assert (fid["reference"], fid["n_real"], fid["n_fake"], fid["n_floor"]) == (
        "training images",
        50_000,
        50_000,
        10_000,
    )
    assert (kid["n_real"], kid["n_fake"], kid["subsets"], kid["subset_size"]) == (10_000, 10_000, 100, 1000)
    assert facts["coverage/modern"]["neighbour"] == 5
    assert (facts["inception_score/modern"]["n_fake"], Modern().n_generated) == (50_000, 50_000)


def test_every_metric_has_facts_and_is_in_the_catalogue():
    for kind in PROTOCOLS.values():
        assert tuple(kind().facts(SHA256, 100)) == kind().metrics
        assert kind().metrics[0] == f"fid/{kind.name()}"
        assert [name.partition("/")[0] for name in kind().metrics] == METRICS


def test_a_variant_has_its_own_label():
    small = SNGAN(n_real=200, n_fake=100)
    assert small.metrics[0] == "fid/sngan(n_real=200, n_fake=100)"
    assert small.entry() == {"sngan": {"n_real": 200, "n_fake": 100}}
    facts = small.facts(SHA256, 80)
    assert facts["inception_score/sngan(n_real=200, n_fake=100)"]["n_fake"] == 1000
    kid = facts["kid/sngan(n_real=200, n_fake=100)"]
    assert (kid["protocol"], kid["n_real"], kid["n_floor"], kid["subsets"]) == (small.label(), 100, 80, 1)
    assert not set(small.metrics) & set(SNGAN().metrics)


def test_tf32_is_a_variant_that_its_facts_name():
    tf32 = SNGAN(precision="tf32")
    assert tf32.metrics[0] == "fid/sngan(precision=tf32)"
    assert tf32.facts(SHA256, 10)["fid/sngan(precision=tf32)"] == SNGAN().facts(SHA256, 10)["fid/sngan"] | {
        "protocol": "sngan(precision=tf32)",
        "precision": "tf32",
    }
    assert SNGAN(precision="float32").label() == "sngan"


def test_too_few_images_are_refused_with_protocol_number_and_split():
    SNGAN().check("cifar10", {"train": 50_000, "held_out": 10_000})
    with pytest.raises(
        InputError,
        match=r"^stl10: protocol sngan needs 10,000 held-out images, found 8,000; "
        r"allowed: a variant, such as \{sngan: \{n_real: 8000\}\}$",
    ):
        SNGAN().check("stl10", {"train": 50_000, "held_out": 8_000})
    with pytest.raises(InputError, match=r"^x: protocol modern\(n_real=20\) needs 10 held-out images, found 4$"):
        Modern(n_real=20).check("x", {"train": 20, "held_out": 4})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_real": 5, "n_fake": 100}, "n_real 5 and n_fake 100 are too few for 5 neighbours; allowed: 6 or more"),
        ({"score_samples": 4}, "4 images cannot be split into 10 parts"),
        ({"preprocessing": "bicubic"}, "'pytorch_fid' or 'torch_fidelity'"),
        ({"precision": "bf16"}, "'float32' or 'tf32'"),
        ({"n_fakes": 3}, "Extra inputs"),
    ],
)
def test_invalid_fields_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        SNGAN(**fields)
