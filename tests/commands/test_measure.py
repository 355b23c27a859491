"""``lipschitz measure`` as a user meets it: the table, strict JSON, and one line for each mistake."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest
import torch
from command_line import Done, lipschitz
from torch import nn

from lipschitz.commands.measure import Measured, Request, measure_module, to_json, without_repetition
from lipschitz.commands.progress_lines import progress_lines
from lipschitz.errors import InputError
from lipschitz.estimation.measure import measure

MODULE = """\
import torch
from command_line import Done, lipschitz
from torch import nn

SIZE = 3

def critic():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))

class Square(nn.Module):
    def forward(self, x):
        return x.square()

def points():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))

def odd():
    return nn.Sequential(nn.Linear(2, 2), Square())

def broken():
    net = nn.Linear(2, 1)
    net.weight.data[0, 1] = torch.nan
    return net

def needy(width):
    return nn.Linear(width, 1)

def nothing():
    return None

class Steep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, gradient):
        raise LookupError("no slope")

class Raising(nn.Module):
    def forward(self, x):
        return Steep.apply(x)

class Exiting(nn.Module):
    def forward(self, x):
        raise SystemExit(3)

class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Embedding.from_pretrained(torch.tensor([[2.0], [5.0]]))

    def forward(self, x, y):
        return x * self.scale(y)
"""


Run = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "networks.py").write_text(MODULE)
    (package / "wrong.py").write_text("def net(:\n")
    (package / "script.py").write_text("import sys\nsys.exit('usage: script')\n")
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the command line as the installed script does: the current folder is not on its path."""

    def measure_command(*arguments: object, **options: float) -> Done:
        monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
        return lipschitz("measure", *arguments, cwd=folder, **options)

    with torch.random.fork_rng(devices=[]):
        yield measure_command
    for name in [name for name in sys.modules if name.partition(".")[0] in ("own", "mypackage")]:
        del sys.modules[name]


def critic() -> nn.Module:
    names: dict[str, object] = {}
    exec(MODULE, names)
    torch.manual_seed(0)
    return names["critic"]()


def test_json_is_alone_on_stdout_and_equals_the_function(run: Run) -> None:
    done = run("--module", "own.networks:critic", "--input", "1,4,4", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert list(found) == ["layers", "lower", "upper", "upper_product"]
    assert [list(layer) for layer in found["layers"]] == [["name", "type", "reshaped", "operator", "upper"]] * 2
    assert [(layer["name"], layer["type"]) for layer in found["layers"]] == [("0", "Conv2d"), ("3", "Linear")]
    assert found == json.loads(to_json(Measured(measure(critic(), (1, 4, 4)))))
    assert 0 < found["lower"] <= found["upper"]


def test_infinity_is_null_and_stderr_says_why(run: Run) -> None:
    done = run("--module", "own.networks:odd", "--input", "2", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["upper"] is None
    assert json.loads(done.stdout)["layers"][0]["upper"] > 0
    assert done.stderr == "square in '1' (Square) has no Lipschitz constant over all inputs\n"


def test_the_table_and_the_bracket(run: Run) -> None:
    done = run("--module", "own.networks:odd", "--input", "2", "--seed", 3)
    assert done.returncode == 0
    assert "Linear" in done.stdout
    assert (
        "<= Lipschitz constant <= inf\n- square in '1' (Square) has no Lipschitz constant over all inputs"
        in done.stdout
    )
    again = run("--module", "own.networks:odd", "--input", "2", "--seed", 3)
    other = run("--module", "own.networks:odd", "--input", "2", "--seed", 4)
    assert done.stdout == again.stdout != other.stdout


def test_the_exact_constant_of_points(run: Run) -> None:
    options = ("--module", "own.networks:points", "--input", "2", "--exact")
    done = run(*options, "--json")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert 0 < found["lower"] <= found["exact"] <= found["upper"]
    assert f"\nexact: {found['exact']:.5g}\n" in run(*options).stdout


def test_why_there_is_no_exact_constant(run: Run) -> None:
    options = ("--module", "own.networks:critic", "--input", "1,4,4", "--exact")
    done = run(*options, "--json")
    assert (done.returncode, json.loads(done.stdout)["exact"]) == (0, None)
    assert done.stderr == "exact: it is computed for one or two inputs, got 16\n"
    assert "- exact: not measured (time limit of 0 s)" in run(*options, "--seconds", 0).stdout


def test_progress_is_shown_while_a_step_silences_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_lines("measuring") as progress, redirect_stderr(StringIO()):
        progress.speak()
        progress("upper end")
    assert capsys.readouterr().err == "measuring: upper end ...\n"


def test_notes_that_differ_in_names_alone_are_one() -> None:
    notes = ["square in '0' is not known", "a hook", "square in '1' is not known", "square in '2.a' is not known"]
    assert without_repetition(notes) == ["square in '0' is not known (and 2 more of this kind)", "a hook"]


def test_what_was_not_finished_in_time_is_named(run: Run) -> None:
    options = ("--module", "own.networks:critic", "--input", "1,4,4", "--seconds", 0)
    done = run(*options)
    assert done.returncode == 0
    assert "0 <= Lipschitz constant <= inf\n" in done.stdout
    assert "- σ of the layers: not measured (time limit of 0 s)" in done.stdout
    assert [line.split()[2:] for line in done.stdout.splitlines()[1:3]] == [["-", "-", "-"]] * 2
    found = json.loads(run(*options, "--json").stdout)
    assert found["layers"][0] == {"name": "0", "type": "Conv2d", "reshaped": None, "operator": None, "upper": None}


def test_a_slow_measurement_says_on_stderr_what_it_does(run: Run) -> None:
    options = ("--module", "own.networks:critic", "--input", "1,4,4", "--json")
    quick = run(*options)
    assert quick.stderr == ""
    slow = run(*options, silent_seconds=0.0)
    assert slow.stdout == quick.stdout
    lines = slow.stderr.splitlines()
    assert all(line.startswith("measuring: ") for line in lines)
    assert lines[-1] == "measuring: search for the lower end ..."


def test_weights_of_a_file_are_measured(folder: Path, run: Run) -> None:
    net = critic()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)
    torch.save(net.state_dict(), folder / "net.pt")
    options = ("--module", "own.networks:critic", "--input", "1,4,4", "--json")
    plain = json.loads(run(*options).stdout)
    doubled = json.loads(run(*options, "--weights", "net.pt").stdout)
    assert [b["operator"] / a["operator"] for a, b in zip(plain["layers"], doubled["layers"], strict=True)] == (
        pytest.approx([2, 2])
    )
    assert doubled["upper"] == pytest.approx(4 * plain["upper"])


MISTAKES = {
    "no factory": ("own.networks", "2", "allowed: package.module:factory"),
    "no module": ("absent.networks:critic", "2", "No module named 'absent'"),
    "a module that cannot be read": ("own.wrong:net", "2", "'own.wrong' cannot be imported: SyntaxError"),
    "a factory that is not there": ("own.networks:critik", "2", "no 'critik'; did you mean 'critic'?"),
    "a factory that wants arguments": ("own.networks:needy", "2", "needy() raises TypeError: needy() missing 1"),
    "a factory of nothing": ("own.networks:nothing", "2", "nothing() returns NoneType; allowed: a torch.nn.Module"),
    "what is no factory": ("own.networks:SIZE", "2", "SIZE() raises TypeError: 'int' object is not callable"),
    "no shape": ("own.networks:critic", "1,4,x", "--input 1,4,x: not the shape of a sample"),
    "an empty shape": ("own.networks:critic", "0", "positive integers"),
    "another shape": ("own.networks:critic", "3,4,4", "its first layer is '0', Conv2d(1, 2, kernel_size=(3, 3)"),
    "a script that exits": ("own.script:net", "2", "'own.script' cannot be imported: SystemExit: usage: script"),
    "no class": ("own.networks:Conditional", "1", "argument: 'y'; of a conditional network, give a class by --label"),
    "a network that raises": ("own.networks:Raising", "2", "measuring it raises LookupError: no slope"),
    "a network that exits": ("own.networks:Exiting", "2", "measuring it raises SystemExit: 3"),
    "weights that are no numbers": ("own.networks:broken", "2", "'weight' is not finite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(run: Run, mistake: str) -> None:
    module, sizes, said = MISTAKES[mistake]
    check(run("--module", module, "--input", sizes), said)


def check(done: Done, said: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_the_cause_of_an_error_of_the_network_is_kept(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(InputError) as raised:
        measure_module(Request("own.networks:Raising", "2"))
    assert isinstance(raised.value.__cause__, LookupError)


def test_a_conditional_network_is_measured_at_one_class(run: Run) -> None:
    options = ("--module", "own.networks:Conditional", "--input", "1", "--json")
    assert json.loads(run(*options, "--label", 0).stdout)["lower"] == pytest.approx(2)
    assert json.loads(run(*options, "--label", 1).stdout)["lower"] == pytest.approx(5)


def test_weights_that_cannot_be_read_or_do_not_fit(folder: Path, run: Run) -> None:
    options = ("--module", "own.networks:critic", "--input", "1,4,4", "--weights")
    check(run(*options, "absent.pt"), "absent.pt: No such file")
    (folder / "text.pt").write_text("weights")
    check(run(*options, "text.pt"), "text.pt: holds no state dict; allowed: what torch.save")
    torch.save([torch.zeros(1)], folder / "list.pt")
    check(run(*options, "list.pt"), "list.pt: holds no state dict")
    state = {"0.weight": torch.zeros(2, 3, 3, 3), "extra": torch.zeros(1)}
    torch.save(state, folder / "other.pt")
    check(
        run(*options, "other.pt"),
        "does not fit the network: it lacks '0.bias', '3.weight', '3.bias'; the network lacks 'extra'; "
        "'0.weight' is (2, 3, 3, 3), not (2, 1, 3, 3)",
    )
    torch.save({"a": torch.zeros(1)}, folder / "none.pt")
    check(run(*options, "none.pt"), "it lacks '0.weight', '0.bias', '3.weight' and 1 more")
    torch.save({"model": critic().state_dict(), "ema": critic().state_dict()}, folder / "two.pt")
    check(run(*options, "two.pt"), "several state dicts fit: 'model', 'ema'; choose one by --weights-key")
    assert run(*options, "two.pt", "--weights-key", "ema").returncode == 0


DOCUMENT = (Path(__file__).parents[2] / "docs" / "measure.md").read_text()
EXAMPLES = re.findall(r"^lipschitz measure (.*)$", DOCUMENT, flags=re.MULTILINE)
DOCUMENTED = """\
from torch import nn

class Pooled(nn.Module):
    def __init__(self, classes=0):
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.embed = nn.Embedding(classes, 1) if classes else None

    def forward(self, x, *labels):
        out = self.linear(x.mean((2, 3)))
        return out * self.embed(*labels) if labels else out

def critic():
    return Pooled()

def conditional():
    return Pooled(10)

def potential():
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
"""


@pytest.mark.parametrize("arguments", EXAMPLES)
def test_the_examples_of_the_documentation_run(arguments: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "nets.py").write_text(DOCUMENTED)
    state = nn.ModuleDict({"linear": nn.Linear(3, 1)}).state_dict()
    torch.save(state, tmp_path / "critic.pt")
    torch.save({"model": state, "ema": state | {"linear.bias": torch.ones(1)}}, tmp_path / "checkpoint.pt")
    done = run(*arguments.split())
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_option_is_documented_and_shown(run: Run) -> None:
    options = re.findall(r"^ *│? *\*? *(--[a-z-]+)", run("--help").stdout, flags=re.MULTILINE)
    assert len(options) > 7
    for option in set(options) - {"--help"}:
        assert f"| `{option}` |" in DOCUMENT
        assert option == "--seed" or any(option in example for example in EXAMPLES), option
