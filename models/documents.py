"""Pages of PDFs that are made of one image, as scanners write them: by pypdfium2."""

from __future__ import annotations

import threading

import numpy as np
import pypdfium2
from pypdfium2 import raw

from models.pixels import RgbImage, UnreadableImage, check_size

# PDFium may be used by one thread at a time.
_LOCK = threading.Lock()
# An image that covers less of its page is an illustration.
_LEAST_COVER = 0.5
# Sides of an image by the page's, in points: at most 1,200 dpi, at least 72.
_MOST_SCALE = 1200 / 72


def count_pages(data: bytes) -> int:
    """The number of pages. Raises UnreadableImage where PDFium does not open the file."""
    with _LOCK:
        document = _opened(data)
        try:
            return len(document)
        finally:
            document.close()


def decode_pdf(data: bytes, page: int) -> RgbImage:
    """A page (from 1) at the resolution of the image that it is made of, as it is displayed.

    Raises UnreadableImage for a page of no image, or of several.
    """
    with _LOCK:
        document = _opened(data)
        try:
            return _rendered(document[page - 1], page)
        finally:
            document.close()


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableImage("the PDF is protected by a password") from error
        raise UnreadableImage(f"the image is damaged: {error}") from error


def _rendered(page: pypdfium2.PdfPage, number: int) -> RgbImage:
    width, height = page.get_size()
    image = _only_image(page, number, width * height)
    columns, rows = image.get_px_size()
    left, bottom, right, top = image.get_bounds()
    # Turned or not, the longer side of the image is the longer side of what it covers.
    shown = max(abs(right - left), abs(top - bottom))
    scale = min(max(columns, rows) / max(shown, 1e-6), _MOST_SCALE)
    check_size(round(width * scale), round(height * scale))
    bitmap = page.render(scale=scale, rev_byteorder=True, no_smoothimage=False)
    try:
        rendered = bitmap.to_numpy()
        if rendered.ndim == 2 or rendered.shape[2] == 1:
            return np.repeat(rendered.reshape(*rendered.shape[:2], 1), 3, axis=2)
        return np.array(rendered[:, :, :3], dtype=np.uint8, order="C")
    finally:
        bitmap.close()


def _only_image(page: pypdfium2.PdfPage, number: int, area: float) -> pypdfium2.PdfImage:
    images = list(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=4))
    if len(images) != 1:
        raise UnreadableImage(
            f"page {number} of this PDF is made of {len(images)} images; only pages made of one image are read"
        )
    (image,) = images
    left, bottom, right, top = image.get_bounds()
    if abs((right - left) * (top - bottom)) < _LEAST_COVER * area:
        raise UnreadableImage(f"page {number} of this PDF shows more than its image; only pages made of one are read")
    return image
