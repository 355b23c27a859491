"""Methods from outside the package that raise, hang, exit, print, exhaust memory or change torch's global state."""

from textwrap import indent

from fault_injection.fault import Fault, Try
from fault_injection.trial import Trial, call
from lipschitz import cli

METHOD = '''\
"""A method of a user's."""

import ctypes, os, signal, sys, threading, time

import torch

from lipschitz.constraints.base import Constraint

calls = 0


class Bad(Constraint):
    """Behaves until its call number AT."""

    source = "A file of the user's"
    promise = "heuristic"

    def penalty(self, net, batch, rng):
        global calls
        calls += 1
        if calls == AT:
BODY
        return sum(parameter.square().sum() for parameter in net.parameters()) * 1e-3
'''
ALONE = ("failed alone",)
LATER = (52, 79)
"""Calls that only a run makes: in one round of the timing pass a method is called less often."""


def misbehaves(trial: Trial, bodies: tuple[str, ...], calls: tuple[int, int] = LATER, *options: object) -> None:
    """Sweep a method that does one of ``bodies`` at a random call, besides two of the package."""
    trial.begin("new")
    at = trial.rng.randrange(*calls)
    method = METHOD.replace("AT", str(at)).replace("BODY", indent(trial.rng.choice(bodies), " " * 12))
    (trial.place / "bad.py").write_text(method, encoding="utf-8")
    path = trial.place / f"{trial.name}.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("constraints: [none,", "constraints: [none, bad.py:Bad,"), encoding="utf-8")
    process = trial.start(*options)
    done = trial.ended(process)
    lines = call(trial.place, "status", trial.folder).stdout.splitlines()
    failed = any(line.startswith(("failed", "diverged")) and "-Bad-" in line for line in lines)
    ends = {0: "equal", 1: "failed alone" if failed else "silent", 2: "refused"}
    trial.how(ends.get(done.returncode, f"exit {done.returncode}"))
    if done.returncode == 2:
        # Nothing was run: the user takes the method out.
        path.write_text(text, encoding="utf-8")
        trial.finish()
    trial.compare()


def timeout_options() -> tuple[object, ...]:
    """Return the options that make a hang end soon, if the command line has them."""
    import inspect

    return ("--timeout", 3) if "timeout" in inspect.signature(cli.sweep).parameters else ()


RAISES = (
    "raise ValueError('no')",
    "raise RuntimeError('two\\nlines \\x1b[31m and a colour ' + 'x' * 5000)",
    "raise KeyError((1, 2))",
    "raise AssertionError",
    "raise StopIteration",
    "raise MemoryError",
)
EXITS = ("sys.exit(0)", "raise SystemExit", "os._exit(0)")
EXITS_NONZERO = ("sys.exit(1)", "sys.exit('no')", "os._exit(1)", "os._exit(3)")
DIES = ("os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "ctypes.string_at(0)")
HANGS = ("while True: time.sleep(1)", "while True: pass", "threading.Event().wait()")
PRINTS = (
    "print('x' * 10**6)",
    "print('\\x1b[31m\\x00\\x07')",
    "os.write(1, bytes(range(256)))",
    "sys.stdout.close()",
    "print('\\ud800'.encode('utf-8', 'replace'))",
)
GLOBALS = (
    "torch.set_default_dtype(torch.float64)",
    "torch.manual_seed(0)",
    "torch.set_num_threads(2)",
    "torch.set_grad_enabled(False)",
    "torch.use_deterministic_algorithms(True)",
    "torch.set_flush_denormal(True)",
    "torch.set_float32_matmul_precision('medium')",
    "torch.autograd.set_detect_anomaly(True)",
    "torch.set_default_device('meta')",
    "os.chdir('/')",
    "os.environ['OMP_NUM_THREADS'] = '7'",
    "sys.path.clear()",
    "torch.nn.Linear.forward = lambda self, x: x @ self.weight.t() * 2",
)
MEMORY = (
    "raise torch.OutOfMemoryError('out of memory')",
    "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); torch.zeros(2**34)",
)
THREADS = (
    "threading.Thread(target=time.sleep, args=(10**6,)).start()",
    "[threading.Thread(target=threading.Event().wait).start() for _ in range(20)]",
)


def _method(*bodies: str, calls: tuple[int, int] = LATER, options: tuple[object, ...] = ()) -> Try:
    return lambda trial: misbehaves(trial, bodies, calls, *options)


def _hangs(calls: tuple[int, int]) -> Try:
    return lambda trial: misbehaves(trial, HANGS, calls, *timeout_options())


FAULTS = [
    Fault("methods", "raises", ALONE, _method(*RAISES)),
    Fault("methods", "raises at its first calls", ("refused", *ALONE), _method(*RAISES, calls=(1, 6))),
    Fault("methods", "exits with 0", ALONE, _method(*EXITS)),
    Fault("methods", "exits with another code", ALONE, _method(*EXITS_NONZERO)),
    Fault("methods", "exits in the timing pass", ALONE, _method(*EXITS, *EXITS_NONZERO, calls=(6, 20))),
    Fault("methods", "exits in the plan", ("refused", *ALONE), _method(*EXITS, *EXITS_NONZERO, calls=(1, 2))),
    # Once it is started again from its checkpoint, and may not come to the fatal call.
    Fault("methods", "dies by a signal", ("equal", *ALONE), _method(*DIES)),
    Fault("methods", "hangs", ALONE, _hangs(LATER)),
    Fault("methods", "hangs in the timing pass", ALONE, _hangs((6, 20))),
    Fault("methods", "prints garbage", ("equal",), _method(*PRINTS)),
    Fault("methods", "out of memory", ALONE, _method(*MEMORY)),
    Fault("methods", "changes torch's globals", ("equal", *ALONE), _method(*GLOBALS)),
    Fault(
        "methods",
        "changes torch's globals, runs share a process",
        ("equal", *ALONE),
        _method(*GLOBALS, options=("--pack", 4)),
    ),
    Fault("methods", "starts threads that never end", ("equal", *ALONE), _method(*THREADS)),
]
