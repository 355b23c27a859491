"""Sweep files that are no plain YAML, are mutated, or have impossible numbers, and names that break what reads them."""

import shutil
import xml.etree.ElementTree as ET
from contextlib import suppress

from fault_injection.fault import Fault
from fault_injection.references import POINTS
from fault_injection.trial import Done, Trial, swept

REFUSED = ("refused",)
YAML = (
    b"!!python/object/apply:os.system ['touch ran']",
    b"name: !!python/name:os.system",
    b"name: !!set {a, b}",
    b"name: !!binary gIGC",
    b"name: !!timestamp 2001-12-14",
    b"name: &a [*a]",
    b"&a {name: *a, task: *a}",
    b"name: &a x\ntask: &a y\nseeds: *a",
    b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\n"
    b"d: &d [*c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e]",
    b"name: " + b"[" * 500,
    b"name: " + b"{a: " * 500,
    b"seeds: [" + b"9" * 5000 + b"]",
    b"training: {steps: 1" + b"0" * 4400 + b"}",
    b"name: \x00\x01\x02",
    b"\xff\xfe\x00n\x00a",
    b"\xc3\x28",
    b"name: x\nname: y",
    b"? [a, b]\n: c",
    b"%YAML 9.9\n---\nname: x",
    b"--- x\n--- y\n",
    b"name: |\n  x\n\ty",
    b"",
    b"- 1",
    b"3",
)  # fmt: skip
NUMBERS = (".nan", ".inf", "-.inf", "0", "-1", "1e300", "1e-300", str(2**64), str(10**30), "1.5", "true", "null", "'3'")
FIELDS = ("width", "depth", "steps", "batch_size", "every", "samples", "gradient_samples", "seeds")
NAMES = (
    "[bold]x[/bold]",
    "[red",
    "\x1b[31mred",
    "a\nb",
    "a\x00b",
    "<script>",
    "x]]>",
    "\u202eabc",
    "a\\b",
    "$(touch ran)",
    "%s{0}",
    "a" * 300,
)


def sweep_file(trial: Trial, content: bytes, *allowed: str) -> None:
    """Plan a sweep file, and run it if it can be planned; where it is refused nothing is written."""
    trial.place.mkdir(parents=True)
    path = trial.place / "points.yaml"
    path.write_bytes(content)
    done = trial.call("sweep", path.name, "--dry-run")
    judged(trial, done)
    if list(trial.place.iterdir()) != [path]:
        trial.how("WROTE OR RAN SOMETHING")


def hostile_yaml(trial: Trial) -> None:
    """Plan a file that is no plain YAML, or that is plain YAML with such a part in it."""
    part = trial.rng.choice(YAML)
    sweep_file(trial, POINTS.encode() + part if part and trial.rng.random() < 0.5 else part)


def mutated_sweep_file(trial: Trial) -> None:
    """Plan a sweep file with a few letters deleted, doubled or replaced; it may still be a right one."""
    text = list(POINTS)
    for _ in range(trial.rng.randrange(1, 6)):
        at = trial.rng.randrange(len(text))
        text[at] = trial.rng.choice(("", text[at] * 2, *"[]{}:,-#&*!|>'\"%@`\n\t 0.x~"))
    sweep_file(trial, "".join(text).encode())


def number(trial: Trial) -> None:
    """Put a number in the place of another that no run can be made with, or that is larger than any machine."""
    field, value = trial.rng.choice(FIELDS), trial.rng.choice(NUMBERS)
    before, _, after = POINTS.partition(f"{field}: ")
    rest = after.lstrip("[0123456789]")
    sweep_file(trial, f"{before}{field}: {f'[{value}]' if field == 'seeds' else value}{rest}".encode())


def names(trial: Trial) -> None:
    """Give the data set's file a name with markup, control characters or code; sweep, report, and read the figures."""
    trial.begin("half")
    shutil.rmtree(trial.folder)
    name = trial.rng.choice(NAMES)
    with suppress(OSError, ValueError):
        (trial.place / "data.npz").rename(trial.place / f"{name}.npz")
    path = trial.place / "images.yaml"
    quoted = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04x}" for letter in name)
    path.write_text(path.read_text().replace("data.npz", f'"{quoted}.npz"'))
    done = swept(trial.place, "images")
    trial.heard(done)
    judged(trial, done)
    if done.returncode == 0:
        trial.call("status", trial.folder)
        trial.call("report", trial.folder)
        for figure in trial.folder.rglob("*.svg"):
            try:
                ET.parse(figure)
            except ET.ParseError:
                trial.how("broken SVG")
    if (trial.place / "ran").exists():
        trial.how("RAN CODE")


def judged(trial: Trial, done: Done) -> None:
    """Say how a command took an input: one line on stderr is a refusal."""
    trial.how({0: "accepted", 2: "refused"}.get(done.returncode, f"exit {done.returncode}"))
    lines = done.stderr.splitlines()
    if done.returncode == 2 and (len(lines) != 1 or not lines[0].startswith("error: ")):
        trial.outcome.unclear.append(lines[0] if lines else "no message")


BOTH = ("refused", "accepted")
FAULTS = [
    Fault("inputs", "sweep file: no plain YAML", REFUSED, hostile_yaml),
    Fault("inputs", "sweep file: mutated", BOTH, mutated_sweep_file),
    Fault("inputs", "sweep file: numbers", BOTH, number),
    Fault("inputs", "names with markup, control characters and code", BOTH, names, sweep="images"),
]
