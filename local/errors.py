"""The one error of the embedded services."""

from __future__ import annotations

from errors import FacestreamError


class LocalServiceError(FacestreamError):
    """An embedded service cannot be had. The text is one line for the person who asked: what, why, what to do."""
