"""The one error of the embedded services."""

from __future__ import annotations


class LocalServiceError(Exception):
    """An embedded service cannot be had. The text is one line for the person who asked: what, why, what to do."""
