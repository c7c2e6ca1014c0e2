"""The bytes at a uri: a file of this machine, or whatever fsspec has a driver for."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import fsspec.core
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from errors import FacestreamError


class UnavailablePicture(FacestreamError):
    """Nothing can be had from there. The text says why, for a person."""


class UnknownStore(FacestreamError):
    """The uri is of a kind that this installation cannot read. The text says why, for a person."""


# What a store or a network may get over by itself; a missing file is not among them.
_PASSING = (ConnectionError, TimeoutError, InterruptedError)


def fetch(uri: str) -> bytes:
    """The bytes at a uri. Raises UnavailablePicture, after four tries where the trouble may pass, and UnknownStore."""
    try:
        return _read(uri)
    except (ImportError, ValueError) as error:
        raise UnknownStore(f"{uri}: {error}") from error
    except FileNotFoundError as error:
        raise UnavailablePicture(f"nothing is at {uri}") from error
    except Exception as error:  # every store of fsspec has its own kinds of error
        raise UnavailablePicture(f"{uri} could not be read: {error or type(error).__name__}") from error


@retry(
    retry=retry_if_exception_type(_PASSING),
    stop=stop_after_attempt(4),
    wait=wait_exponential(multiplier=0.5, max=10),
    reraise=True,
)
def _read(uri: str) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        # fsspec takes the percent signs of a file's uri for part of its name (RFC 8089 has them as escapes).
        return Path(os.fsdecode(unquote_to_bytes(parts.path))).read_bytes()
    store, place = fsspec.core.url_to_fs(uri)
    return bytes(store.cat_file(place))
