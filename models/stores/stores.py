"""The bytes at a uri, from the stores that are allowed: see docs/stores.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from models.stores import files, http, others, s3
from models.stores.deadline import Deadline, DeadlinePassed, Guard
from models.stores.errors import StoreUnavailable, UnavailableImage, UnknownStore
from models.stores.parameters import StoreParameters
from models.stores.roots import Roots
from schemas import defaults
from schemas.uris import without_credentials

Fetch = Callable[[str], bytes]
"""Returns the bytes at a uri. Raises what `Stores.fetch` raises."""

# A store with so many calls that hang is left alone until one of them returns.
_MOST_HANGING = 4
# A path of 4,096 bytes, the longest that Linux opens, with an escape for each. What is longer is not looked at: a
# megabyte of folders in a uri takes hours to go through.
_LONGEST_URI = 16_384
_TOO_LONG = "uris that are too long"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# fsspec's chains: one uri inside of another, or after a ::
_CHAIN = re.compile(r"^[^/]*::|::[A-Za-z][A-Za-z0-9+.-]*://")


class Stores:
    """Fetches scans. One for all threads of a process."""

    def __init__(self, parameters: StoreParameters) -> None:
        self._parameters = parameters
        self._schemes = {scheme.lower() for scheme in parameters.schemes}
        self._roots = Roots(parameters.roots, parameters.roots_file)
        self._rules = http.Rules(parameters.private_hosts, parameters.max_bytes, parameters.netrc)
        self._s3 = s3.S3(parameters.s3_anonymous)
        self._guard = Guard()

    def store_of(self, uri: str) -> str:
        """What fails together: the root of a file, the server of an http uri, a bucket. Reads nothing."""
        if len(uri) > _LONGEST_URI:
            return _TOO_LONG
        try:
            return self._store_of(uri)
        except ValueError:
            return without_credentials(uri)

    def _store_of(self, uri: str) -> str:
        scheme = urlsplit(uri).scheme
        if scheme == "file":
            return files.root_name(self._roots, uri)
        if scheme in ("http", "https"):
            return http.origin(uri)
        return s3.bucket_name(uri) if scheme == "s3" else others.store_name(uri)

    def fetch(self, uri: str) -> bytes:
        """The bytes at a uri, before the deadline.

        Raises UnavailableImage where nothing can or may be read there (UnknownStore where that is so for the scheme),
        and StoreUnavailable where it may be read later.
        """
        self._check(uri)
        store = self.store_of(uri)
        if self._guard.hanging(store) >= _MOST_HANGING:
            raise StoreUnavailable(store, "it hangs", "store")
        deadline = Deadline(self._parameters.deadline_s)
        try:
            return self._guard.within(deadline, store, lambda: self._read(uri, deadline))
        except DeadlinePassed as error:
            within = f"within {deadline.seconds:g} s (FACESTREAM_STORES__DEADLINE_S)"
            if deadline.answered:
                reason = f"it did not arrive {within}, only {deadline.received:,} bytes came"
                raise StoreUnavailable(store, reason, "scan") from error
            raise StoreUnavailable(store, f"no answer {within}", "unclear") from error
        except (UnavailableImage, StoreUnavailable, MemoryError):
            raise
        except Exception as error:  # an error that nobody foresaw is due to the uri: it ends no command
            shown = without_credentials(uri)
            raise UnavailableImage(f"{shown} cannot be read ({type(error).__name__})") from error

    def _check(self, uri: str) -> None:
        if len(uri) > _LONGEST_URI:
            shown = without_credentials(uri[:200])
            raise UnavailableImage(f"{shown}… has {len(uri):,} characters, at most {_LONGEST_URI:,} are read")
        shown = without_credentials(uri)
        scheme, separator, rest = uri.partition("://")
        if _CONTROL.search(uri):
            raise UnavailableImage(f"{shown!r} holds a control character, which a uri does not")
        if _CHAIN.search(uri) or ("::" in rest and scheme not in defaults.SCHEMES):
            raise UnknownStore(f"{shown} is a chain of uris, which is never read")
        if not separator:
            raise UnknownStore(f"{shown} is not a uri, such as file:///folder/scan.jpg")
        if scheme.lower() not in self._schemes:
            allowed = ", ".join(sorted(self._schemes))
            raise UnknownStore(f"{shown}: {scheme}:// is not read here, only {allowed} (FACESTREAM_STORES__SCHEMES)")
        if scheme.lower() in defaults.SCHEMES[1:]:
            try:
                _ = urlsplit(uri).port if scheme.lower() != "s3" else None
            except ValueError as error:
                raise UnavailableImage(f"{shown} is not a valid uri") from error

    def _read(self, uri: str, deadline: Deadline) -> bytes:
        scheme = urlsplit(uri).scheme
        if scheme == "file":
            return files.read(uri, self._roots, self._parameters.max_bytes, deadline)
        if scheme in ("http", "https"):
            return http.read(uri, self._rules, deadline)
        if scheme == "s3":
            return self._s3.read(uri, self._parameters.max_bytes, deadline)
        return others.read(uri, self._parameters.max_bytes, deadline)
