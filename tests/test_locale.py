"""Commands in the C locale and on terminals that are not UTF-8: nothing depends on the locale's encoding."""

import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from sweeps import write
from synthetic import Plan, write_sweep

from lipschitz.cli import main

# tox sets an encoding of its own.
INHERITED = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
# A warning for each read and write that does not name its encoding, as an error where it is in the package.
SCRIPT = """
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="lipschitz")
from lipschitz.cli import main
assert sys.getfilesystemencoding() == "ascii", sys.getfilesystemencoding()
for line in sys.argv[1:]:
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (line, ended.code)
"""
ROOT = Path(__file__).parents[1]
SWEEP = """\
    name: s
    task: generation
    datasets: [swiss_roll]
    constraints: [none]  # σ ≤ 1
    seeds: [0]
    training: {steps: 1, batch_size: 4}
    evaluation: {every: 1, samples: 8, gradient_samples: 4}
"""
COMMANDS = (
    "sweep --help",
    "list",
    "schema",
    "data",
    "measure --module torch.nn:Identity --input 2",
    f"sweep small.yaml --no-report --engine {ROOT / 'tests' / 'support' / 'in_process_engine.py'}:InProcess",
    "status results/synthetic",
    "report results/synthetic",
)


def test_every_command_runs_in_the_c_locale(tmp_path: Path) -> None:
    write_sweep(tmp_path / "results" / "synthetic", Plan(["eight_gaussians"], ["none"], seeds=[0], evaluations=1))
    write(tmp_path, SWEEP)
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", SCRIPT, *COMMANDS],
        capture_output=True,
        cwd=tmp_path,
        env={**INHERITED, **environment},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"?" in done.stdout, "what the terminal cannot show is replaced"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_a_terminal_cannot_show_is_replaced(encoding: str) -> None:
    written = io.BytesIO()
    with (
        mock.patch.object(sys, "stdout", io.TextIOWrapper(written, encoding=encoding)),
        mock.patch.object(sys, "argv", ["lipschitz", "list", "metrics"]),
    ):
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        text = written.getvalue().decode(encoding)
    assert ended.value.code == 0
    assert "?" in text


def test_a_name_that_the_file_system_cannot_hold_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lipschitz", "status", "dønnées"])
    error = UnicodeEncodeError("ascii", "dønnées", 1, 2, "ordinal not in range(128)")
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    monkeypatch.setattr(Path, "is_file", mock.Mock(side_effect=error))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: dønnées: file names are ascii here; set LC_ALL=C.UTF-8\n"
