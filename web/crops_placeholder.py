"""What is shown where there is no picture: a plain drawing with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from starlette.responses import Response

from web.crops_cutting import Trouble

HEADER = "Facestream-Picture"
"""The header that has the kind of trouble."""

DESCRIPTIONS: Mapping[Trouble, str] = {
    "gone": "The file is gone",
    "changed": "The file was changed",
    "unreadable": "The file is unreadable",
    "unreachable": "The store is away",
    "busy": "Try again soon",
    "unknown": "There is no picture",
}
"""What is written on the drawing."""

# Seconds after which it makes sense to try again.
_RETRY_S: Mapping[Trouble, int] = {"unreachable": 30, "busy": 5}


def placeholder(trouble: Trouble, description: str, reason: str, *, square: bool) -> Response:
    """The drawing, square or three by two, as SVG. `reason` is its title: the whole sentence.

    The status is 503 where a later attempt may succeed, else 404. Browsers show the drawing with either.
    """
    width, height = (96, 96) if square else (144, 96)
    middle = width // 2
    drawing = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>{_text(reason)}</title>
<rect width="{width}" height="{height}" fill="#e4e4e4"/>
<g fill="none" stroke="#5a5a5a" stroke-width="2">
<rect x="{middle - 18}" y="22" width="36" height="28"/><path d="M{middle - 18} 50 L{middle + 18} 22"/>
</g>
<text x="{middle}" y="72" text-anchor="middle" font-family="sans-serif" font-size="8" fill="#333">
{_text(description)}
</text>
</svg>
"""
    headers = {HEADER: trouble, "Cache-Control": "no-store"}
    if trouble in _RETRY_S:
        headers["Retry-After"] = str(_RETRY_S[trouble])
    return Response(drawing, 503 if trouble in _RETRY_S else 404, headers, "image/svg+xml")


def _text(text: str) -> str:
    """Text as XML may have it: without control characters."""
    return escape("".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in text))
