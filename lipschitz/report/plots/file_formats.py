"""Write a figure as SVG, PDF and PNG. The PNG is made from the PDF, which is faster than to draw the figure again."""

import io
from collections.abc import Sequence
from typing import Any

import pypdfium2
from matplotlib.figure import Figure

from lipschitz.report.plots.look import paper_width

FORMATS = ("svg", "pdf", "png")
_POINTS_PER_INCH = 72
_PAGE_DPI, _PAPER_DPI = 100, 300
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def render(figure: Figure, kinds: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Return the figure in each of ``kinds``, without dates, so that the same figure gives the same bytes."""
    dpi = _PAGE_DPI if paper_width() is None else _PAPER_DPI
    needed = dict.fromkeys("pdf" if kind == "png" else kind for kind in kinds)
    drawn = {kind: _drawn(figure, kind, dpi) for kind in needed}
    return {kind: _png(drawn["pdf"], dpi) if kind == "png" else drawn[kind] for kind in kinds}


def _drawn(figure: Figure, kind: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return buffer.getvalue()


def _png(pdf: bytes, dpi: int) -> bytes:
    """Return the first page of a PDF as a PNG, by PDFium."""
    # A pixel of a sample stays a square, as in the PDF.
    options: dict[str, Any] = {"scale": dpi / _POINTS_PER_INCH, "no_smoothimage": True}
    with pypdfium2.PdfDocument(pdf) as document:
        image = document[0].render(**options).to_pil()
    buffer = io.BytesIO()
    # The default compression level takes twice as long and saves a few per cent.
    image.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
