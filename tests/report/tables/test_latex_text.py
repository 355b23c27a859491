import pytest

from lipschitz.report.tables.latex_text import in_ascii, tex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("∞", r"$\infty$"),
        ("0.39 ± 0.61", r"0.39 $\pm$ 0.61"),
        ("σ ρ λ ε ∇", r"$\sigma$ $\rho$ $\lambda$ $\varepsilon$ $\nabla$"),
        ("Σ Α Λ ο", r"$\Sigma$ A $\Lambda$ o"),
        ("N(0, 0.02²), 10⁻⁵, x₁", r"N(0, 0.02$^{2}$), 10$^{-}$$^{5}$, x$_{1}$"),
        ("Müller, Étienne, Çelik, Łukasz, Åse", r"M\"{u}ller, \'{E}tienne, \c{C}elik, \L{}ukasz, \r{A}se"),
        ("a_b 50 % # & $", r"a\_b 50 \% \# \& \$"),
        ("“漢” – …", r"``U+6F22'' -- \dots{}"),
    ],
)
def test_text_in_latex_is_ascii(text: str, latex: str) -> None:
    assert tex(text) == latex
    assert latex.isascii()


def test_markup_stays_in_a_comment() -> None:
    assert in_ascii(r"spectral_norm: \cite{müller}") == r"spectral_norm: \cite{m\"{u}ller}"
