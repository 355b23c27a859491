import json
import random
from pathlib import Path

import pytest

from lipschitz.checksums import DamagedFile, is_sealed, sealed, set_aside, unsealed

VALUE = {"status": "finished", "step": 20, "seconds": 1.25, "last": {"w1": 0.5, "σ": None}, "files": {}, "3": [1e-05]}


def test_what_is_sealed_is_returned_without_the_checksum() -> None:
    value = sealed(VALUE, "one/result.json")
    assert value["checksum"].startswith("sha256:")
    assert unsealed(json.loads(json.dumps(value, indent=2)), "one/result.json") == VALUE


def test_an_object_without_a_checksum_is_of_an_earlier_version() -> None:
    assert not is_sealed(VALUE)
    assert unsealed(VALUE, "result.json") == VALUE


def test_keys_that_are_no_strings_have_the_checksum_of_what_is_read_back() -> None:
    value = {2: "b", 10: "a", "place": (1, 2)}
    assert unsealed(json.loads(json.dumps(sealed(value, "x"))), "x") == {"2": "b", "10": "a", "place": [1, 2]}


def test_the_file_of_another_run_is_noticed() -> None:
    with pytest.raises(DamagedFile, match="damaged, or another run's"):
        unsealed(sealed(VALUE, "seed0/result.json"), "seed1/result.json")


def test_no_flipped_bit_changes_a_value_unnoticed() -> None:
    whole = json.dumps(sealed(VALUE, "result.json"), indent=2).encode()
    rng = random.Random(0)
    first = 8 * whole.index(b'"checksum"')
    places = [*range(first, first + 8 * 20), *(rng.randrange(8 * len(whole)) for _ in range(200))]
    noticed = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        try:
            content = unsealed(json.loads(damaged), "result.json")
        except ValueError:
            noticed += 1
        else:
            assert content == VALUE
    # Such as the letter of an exponent, 1E-05.
    assert noticed > len(places) - 5


def test_what_is_set_aside_replaces_nothing(tmp_path: Path) -> None:
    names = []
    for content in ("a", "b", "c"):
        (tmp_path / "result.json").write_text(content)
        names.append(set_aside(tmp_path / "result.json").name)
    assert names == ["result.json.broken", "result.json.broken.1", "result.json.broken.2"]
    assert [(tmp_path / name).read_text() for name in names] == ["a", "b", "c"]
