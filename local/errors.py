"""The errors of the embedded services."""

from __future__ import annotations

from errors import FacestreamError


class LocalServiceError(FacestreamError):
    """An embedded service is unavailable. The text is one line: which service, why, and what to do."""


class KilledWhileStarting(LocalServiceError):
    """A service was ended by kill -9 before it answered: another start may well succeed."""
