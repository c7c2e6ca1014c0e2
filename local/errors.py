"""The one error of the embedded services."""

from __future__ import annotations

from errors import FacestreamError


class LocalServiceError(FacestreamError):
    """An embedded service is unavailable. The text is one line: which service, why, and what to do."""
