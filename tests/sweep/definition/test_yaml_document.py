"""A sweep file that is no plain YAML is refused in one line that names the file's line."""

from pathlib import Path

import pytest
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition import yaml_document, yaml_events
from lipschitz.sweep.definition.sweep_file import load_sweep

SEEDS = "seeds: [0, 1]"
AFTER = SMALL + "    "
# What is added to or replaced in the small file, the line that the error names, and what it says.
REFUSED = {
    "an empty file": ("", 1, "a sweep file is a mapping"),
    "a text": ("hello", 1, "a sweep file is a mapping"),
    "a list": ("- a\n- b\n", 1, "a sweep file is a mapping"),
    "a set": (SMALL.replace(SEEDS, "seeds: !!set {0}"), 6, "a tag (tag:yaml.org,2002:set) is not allowed"),
    "an object": (SMALL.replace(SEEDS, "seeds: !!python/object:os.system [0]"), 6, "python/object:os.system) is not allowed"),
    "a tag of its own": (SMALL.replace("small", "!foo small"), 1, "a tag (!foo) is not allowed"),
    "a tag on a list": (SMALL.replace(SEEDS, "seeds: !foo [0]"), 6, "a tag (!foo) is not allowed"),
    "5,000 digits": (SMALL.replace("120", "9" * 5000), 7, "a text of 5000 characters; allowed: at most 4096"),
    "500 digits": (SMALL.replace("120", "-" + "9" * 499), 7, "an integer of 500 digits; allowed: at most 40"),
    "500 hexadecimal digits": (SMALL.replace("120", "0x" + "f" * 498), 7, "an integer of 500 digits"),
    "500 open brackets": (SMALL.replace(SEEDS, "seeds: " + "[" * 500), 6, "more than 32 lists and mappings inside each other"),
    "500 nested lists": (SMALL.replace(SEEDS, f"seeds: {'[' * 500}{']' * 500}"), 6, "more than 32 lists"),
    "an anchor inside itself": (SMALL.replace(SEEDS, "seeds: &a [*a]"), 6, "the alias *a is inside its own anchor"),
    "the file inside itself": ("    &a\n" + AFTER + "parts: *a\n", 10, "the alias *a is inside its own anchor"),
    "a merge of itself": (SMALL.replace("{steps", "&a {<<: *a, steps"), 7, "the alias *a is inside its own anchor"),
    "an anchor twice": (AFTER + "parts:\n      - {seeds: &a [0]}\n      - {seeds: &a [1]}\n", 11, "the anchor &a is defined twice"),
    "no anchor": (SMALL.replace(SEEDS, "seeds: *b"), 6, "the alias *b has no anchor before it"),
    "a merge of a number": (AFTER + "<<: 3\n", 9, "expected a mapping"),
    "a tab": (SMALL + "\tx: 1\n", 9, "cannot start any token"),
    "two documents": (SMALL + "---\nname: other\n", 9, "a second document; allowed: one"),
    "another version": ("%YAML 1.1\n---\n" + SMALL, 2, "a directive (%) is not allowed"),
    "a key twice": (AFTER + "name: other\n", 9, 'found duplicate key "name"'),
    "a number as a key": (AFTER + "1: x\n", 9, "a key is a name, found 1"),
    "nothing as a key": (SMALL.replace("{steps", "{null: 1, steps"), 7, "a key is a name, found None"),
    "a list as a key": (AFTER + "? [a]\n    : x\n", 9, "a key is a name, found"),
    "a date": (SMALL.replace("small", "2001-12-14"), 1, "a date is not a value of a sweep"),
    "a sexagesimal": (SMALL.replace(SEEDS, "seeds: [1:30]"), 6, "seeds[0]: input should be a valid integer, found '1:30'"),
    "an open bracket": (SMALL + "[", 9, "not valid YAML"),
    "an open quote": (AFTER + 'x: "a\n', 10, "found unexpected end of stream"),
    "a null byte": (AFTER + "x: a\0b\n", 9, r"a control character, '\x00', is not allowed"),
    "an escape": (AFTER + "x: a\x1b[31mb\n", 9, r"a control character, '\x1b', is not allowed"),
    "an escape in quotes": (SMALL.replace("small", r'"a\e[31m"'), 1, r"found 'a\x1b[31m'"),
    "an override of direction": (SMALL.replace("small", '"a\u202eb"'), 1, r"found 'a\u202eb'"),
    "a long name": (SMALL.replace("small", "a" * 300), 1, "name: string should have at most 100 characters"),
    "a long key": (AFTER + "a" * 300 + ": 1\n", 9, "unknown key 'aaa"),
}  # fmt: skip


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load_sweep(path)
    return str(error.value)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_file_that_is_not_plain_yaml_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, line, said = REFUSED[case]
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}:{line}: ")
    assert said in message
    assert message.isprintable()
    assert len(message) - len(str(path)) <= 200


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes() + b"x: \xff\n")
    assert refusal(path) == f"{path}:9: not UTF-8 text: byte 0xff; allowed: UTF-8"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = write(tmp_path)
    expected = load_sweep(path).runs
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_sweep(path).runs == expected


def test_anchors_and_merges_are_plain_yaml(tmp_path: Path) -> None:
    parts = "parts:\n      - &first {seeds: &seeds [3]}\n      - {<<: *first, losses: [minimax], seeds: *seeds}\n"
    runs = load_sweep(write(tmp_path, AFTER + parts)).runs
    assert [(run.loss.name(), run.seed) for run in runs] == [("hinge", 3)] * 2 + [("minimax", 3)] * 2


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_document, "LARGEST", 2**20)
    path = write(tmp_path, SMALL + "#" * 2**20)
    assert refusal(path) == f"{path}: larger than 1 MiB, the most of a sweep file"


def test_aliases_do_not_multiply_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_events, "VALUES", 1000)
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = write(tmp_path, "\n".join(lines))
    assert refusal(path) == f"{path}:3: more than 1,000 values, with those of aliases"
