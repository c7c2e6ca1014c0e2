"""How a fetch fails. The texts hold no credentials and nothing of a file's content."""

from __future__ import annotations

from typing import Literal

from errors import FacestreamError, Retriable

Cause = Literal["store", "unclear", "scan"]
"""What a failure is due to: the store (connection refused, a folder that is not mounted), this scan of a store that
answers (the transfer breaks off), or either (500 Internal Server Error, no answer in time)."""


class UnavailableImage(FacestreamError):
    """Nothing can be read at the uri, or it must not be read. The text gives the reason."""


class UnknownStore(UnavailableImage):
    """Scans of this scheme are not read here: it is not allowed, or has no driver. The text gives the reason."""


class StoreUnavailable(Retriable):
    """The store did not deliver the scan now. It may do so later.

    store: as `Stores.store_of` names it. reason: what happened, without the uri. tried: False where the store was left
    alone because it had just failed.
    """

    def __init__(self, store: str, reason: str, cause: Cause, tried: bool = True) -> None:
        super().__init__(f"{store}: {reason}")
        self.store = store
        self.reason = reason
        self.cause = cause
        self.tried = tried

    def __reduce__(self) -> tuple[type[StoreUnavailable], tuple[str, str, Cause, bool]]:
        """For pickle: an exception's own way keeps only the text."""
        return StoreUnavailable, (self.store, self.reason, self.cause, self.tried)
