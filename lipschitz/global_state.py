"""Notice and undo changes of the global settings of a process by the code of a run: torch's, NumPy's, signals, folder.

Runs that share a process share these. Random numbers are no part of them: every draw has a generator of its own.
"""

import os
import signal
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from lipschitz.errors import InputError
from lipschitz.signals import SIGNALS


class Setting(NamedTuple):
    """A global setting, how it is read and how it is set."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


# Variables, so that the product is not computed when the module is compiled.
_ONE, _DENORMAL = 1.0, 5e-324
_BACKENDS: Any = torch.backends


def _attribute(name: str, of: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(of, attribute), lambda value: setattr(of, attribute, value))


def _handler(number: signal.Signals) -> Setting:
    return Setting(
        f"the handler of {number.name}", lambda: signal.getsignal(number), lambda was: signal.signal(number, was)
    )


def _error_handling(kind: str) -> Setting:
    def write(was: Any) -> None:
        np.seterr(**{kind: was})

    return Setting(f"NumPy's error handling ({kind})", lambda: dict(np.geterr())[kind], write)


def _shown(value: Any) -> str:
    return str(value.name if isinstance(value, signal.Handlers) else getattr(value, "__qualname__", value))


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        # The folder was deleted.
        return None


SETTINGS = (
    Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting(
        "torch's default device",
        torch.get_default_device,
        # None removes the mode that a device installs, and with which every operation is slower.
        lambda was: torch.set_default_device(None if was.type == "cpu" else was),
    ),
    Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting(
        "torch's deterministic mode",
        torch.get_deterministic_debug_mode,
        lambda was: torch.set_deterministic_debug_mode(was),
    ),
    Setting("torch's anomaly detection", torch.is_anomaly_enabled, lambda was: torch.autograd.set_detect_anomaly(was)),
    *(
        Setting(
            f"torch's autocast on {device}",
            partial(torch.is_autocast_enabled, device),
            partial(torch.set_autocast_enabled, device),
        )
        for device in ("cpu", "cuda")
    ),
    Setting("torch's flushing of denormal numbers", lambda: _ONE * _DENORMAL == 0, torch.set_flush_denormal),
    *(
        _attribute(f"torch's float32 precision ({name})", switch, "fp32_precision")
        for name, switch in (
            ("all", _BACKENDS),
            ("cuda.matmul", _BACKENDS.cuda.matmul),
            ("cudnn", _BACKENDS.cudnn),
            ("cudnn.conv", _BACKENDS.cudnn.conv),
            ("cudnn.rnn", _BACKENDS.cudnn.rnn),
            ("mkldnn.matmul", _BACKENDS.mkldnn.matmul),
            ("mkldnn.conv", _BACKENDS.mkldnn.conv),
            ("mkldnn.rnn", _BACKENDS.mkldnn.rnn),
        )
    ),
    Setting(
        "torch's float32 precision (mkldnn)",
        lambda: _BACKENDS.mkldnn.fp32_precision,
        # Setting the attribute sets that of all backends (torch 2.11 to 2.13).
        lambda was: _BACKENDS.mkldnn.set_flags(_fp32_precision=was),
    ),
    *(_attribute(f"cudnn.{name}", _BACKENDS.cudnn, name) for name in ("enabled", "benchmark", "deterministic")),
    *(_error_handling(kind) for kind in ("divide", "over", "under", "invalid")),
    *(_handler(number) for number in SIGNALS),
    Setting("the current folder", _folder, lambda was: os.chdir(was) if was else None),
)
"""Every setting that is looked after."""


class GlobalState:
    """The settings of this process as they were when the object was made."""

    def __init__(self) -> None:
        self._before = [setting.read() for setting in SETTINGS]
        self._filters = list(warnings.filters)

    def restore(self) -> list[str]:
        """Set back what has changed since; return, for each, its name with the old and the new value.

        Filters of warnings are set back without a word: libraries add some when they are first imported.
        """
        changes = []
        for setting, before in zip(SETTINGS, self._before, strict=True):
            now = setting.read()
            if now != before:
                changes.append(f"{setting.name} from {_shown(before)} to {_shown(now)}")
                setting.write(before)
        if warnings.filters != self._filters:
            # The block lets Python forget what it has cached of the filters.
            with warnings.catch_warnings():
                pass
            warnings.filters[:] = self._filters  # type: ignore[index]
        return changes

    def change(self, whose: str) -> str:
        """Restore the settings, and return one line about what had changed, or nothing; ``whose`` names the cause."""
        changes = self.restore()
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        return f"{whose} changed {changes[0]}{more}; what a process shares must stay as it is" if changes else ""

    def check(self, whose: str) -> None:
        """Restore the settings.

        Raises:
            InputError: some had changed; ``whose`` names what changed them.
        """
        if line := self.change(whose):
            raise InputError(line)
