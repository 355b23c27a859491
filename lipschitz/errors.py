"""The error for wrong input, and its parts in one printable line: found values, the nearest valid name, causes."""

import difflib
from collections.abc import Iterable
from typing import Any

FOUND = 60
"""Most characters that an error shows of a value that it found."""
MESSAGE = 200
"""Most characters of an error besides the path of the file at fault."""
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "b1": ("betas",),
    "batch": ("batch_size",),
    "beta1": ("betas",),
    "beta2": ("betas",),
    "bn": ("batch_normalization",),
    "bs": ("batch_size",),
    "clip": ("weight_clipping", "c"),
    "clip_value": ("c",),
    "clipping": ("weight_clipping",),
    "cnn": ("dcgan",),
    "cr": ("consistency_regularization",),
    "critic_iters": ("n_dis",),
    "critic_steps": ("n_dis",),
    "d_steps": ("n_dis",),
    "ema_decay": ("ema",),
    "gn": ("gradient_normalization",),
    "gp": ("gradient_penalty",),
    "gp_weight": ("weight",),
    "instance_norm": ("instance_normalization",),
    "iterations": ("steps",),
    "iters": ("steps",),
    "lambda": ("weight",),
    "lambda_gp": ("weight",),
    "learning_rate": ("lr",),
    "ln": ("layer_normalization",),
    "lr_d": ("lr",),
    "lr_g": ("lr",),
    "lsgan": ("least_squares",),
    "n_critic": ("n_dis",),
    "n_disc": ("n_dis",),
    "ns": ("non_saturating",),
    "nsgan": ("non_saturating",),
    "r1": ("zero_centered_penalty",),
    "r2": ("zero_centered_penalty",),
    "rpgan": ("relativistic",),
    "sn": ("spectral_normalization",),
    "sngan": ("spectral_normalization",),
    "snr": ("spectral_regularization",),
    "spectral_norm": ("spectral_normalization",),
    "wc": ("weight_clipping",),
    "wgan": ("weight_clipping", "wasserstein"),
    "wgan_div": ("wasserstein_divergence",),
    "wgan_gp": ("gradient_penalty", "wasserstein"),
    "wn": ("weight_normalization",),
}
"""By abbreviation, or name in other code and papers, what it is called here; of several the first that is allowed."""
_NAMES = 90
"""Most characters that an error shows of the names that are allowed."""


class InputError(Exception):
    """Wrong input: one line that says what, where and what is allowed. The command line prints it and exits with 2.

    Line breaks of ``message`` become spaces, and other characters that do not print are escaped: what a file holds
    never controls the terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MissingInput(InputError):
    """Input that is not there, such as a data set that was not downloaded; the line says how to get it."""


def printable(text: str) -> str:
    """Return ``text`` on one line, with escapes such as ``\\x1b`` for control characters and surrogates."""
    if text.isprintable():
        return text
    line = " ".join(text.splitlines())
    return line if line.isprintable() else "".join(map(_escaped, line))


def shortened(text: str, limit: int = MESSAGE) -> str:
    """Return ``text`` on one printable line, cut to ``limit`` characters, of which the last is then an ellipsis."""
    line = printable(text)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def found(value: Any) -> str:
    """Return ``value`` from a file as an error shows it: its notation in Python, cut to `FOUND` characters."""
    try:
        text = repr(value)
    except ValueError:
        # Python does not write an integer of more than 4,300 digits.
        text = "a very large integer"
    return shortened(text, FOUND)


def first_line(error: BaseException, *, with_type: bool = False) -> str:
    """Return the first line of the message of ``error``, or the name of its class where it has no message.

    Args:
        error: the error.
        with_type: prefix the message with the name of its class, as in ``ValueError: message``.
    """
    kind = type(error).__name__
    line = next(iter(str(error).strip().splitlines()), "")
    if not line:
        return kind
    return f"{kind}: {line}" if with_type else line


def nearest(name: str, allowed: Iterable[str], listed_by: str = "") -> str:
    """Return the allowed names, after ``did you mean 'x'?`` if one of them is close to ``name``.

    Of many names only the nearest are returned; the command ``listed_by`` shows all of them.
    """
    names = sorted(set(allowed))
    close = _also_called(name, names) or difflib.get_close_matches(name[:FOUND], names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    all_of_them = ", ".join(names)
    if len(all_of_them) <= _NAMES:
        return f"{hint}allowed: {all_of_them}"
    few = difflib.get_close_matches(name[:FOUND], names, n=4, cutoff=0.0)
    shown = shortened(", ".join(few), _NAMES) + f" and {len(names) - len(few)} more"
    if listed_by:
        return f"{hint}allowed: see `{listed_by}`" if hint else f"allowed: {shown}, see `{listed_by}`"
    return f"{hint}allowed: {shown}"


def _also_called(name: str, names: list[str]) -> list[str]:
    """Return the one of ``names`` that is ``name`` in other letters, or that `OTHER_NAMES` has for it."""
    plain = name[:FOUND].lower().replace("-", "_").replace(" ", "_")
    return [one for one in (plain, *OTHER_NAMES.get(plain, ())) if one in names][:1]


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
