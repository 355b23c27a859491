"""Escape text for LaTeX: ASCII alone, so that a file compiles in any encoding and with any fonts."""

import re
from functools import cache
from unicodedata import decomposition, name, normalize

_MARKUP = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
"""ASCII characters that are markup."""
_SYMBOLS = {
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "−": "$-$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "‖": r"$\|$",
    "∇": r"$\nabla$",
    "∑": r"$\sum$",
    "∈": r"$\in$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "ε": r"$\varepsilon$",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "°": r"$^{\circ}$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\u00a0": "~",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "§": r"\S{}",
    "†": r"$\dagger$",
}
_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328",
        ("`", "'", "^", "~", "=", "u", ".", '"', "r", "H", "v", "d", "c", "k"),
        strict=True,
    )
)
"""By combining mark, LaTeX's command for it."""
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (?!OMICRON)(\w+)")
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))
"""Greek letters that LaTeX has no command for, as they look like Latin ones."""


def tex(text: str) -> str:
    """Return ``text`` as LaTeX in ASCII; a character without a name in LaTeX is written as its code point, U+6F22."""
    return "".join(_MARKUP.get(letter) or _in_ascii(letter) for letter in " ".join(text.split()))


def in_ascii(text: str) -> str:
    """Return ``text`` with LaTeX in the place of characters beyond ASCII; its markup stays as it is."""
    return "".join(map(_in_ascii, text))


@cache
def _in_ascii(letter: str) -> str:
    if letter.isascii():
        return letter
    if letter in _SYMBOLS:
        return _SYMBOLS[letter]
    if letter in _LATIN:
        return _LATIN[letter]
    if greek := _GREEK.fullmatch(name(letter, "")):
        case, command = greek.groups()
        command = command.replace("LAMDA", "LAMBDA")
        return rf"$\{command.lower() if case == 'SMALL' else command.capitalize()}$"
    kind, _, rest = decomposition(letter).partition(" ")
    if kind in ("<super>", "<sub>"):
        base = "".join(chr(int(code, 16)) for code in rest.split())
        return f"${'^' if kind == '<super>' else '_'}{{{in_ascii(base).strip('$')}}}$"
    base, *marks = list(normalize("NFD", letter))
    if base.isascii() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(letter):04X}"
