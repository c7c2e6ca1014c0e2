"""The bytes at a uri: a file of this machine, or anything that fsspec has a driver for."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import fsspec.core
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from errors import FacestreamError


class UnavailableImage(FacestreamError):
    """Nothing could be read at the uri. The text gives the reason."""


class UnknownStore(FacestreamError):
    """This installation has no driver for the uri's scheme. The text gives the reason."""


# Errors that may pass by themselves. A missing file is not among them.
_TRANSIENT = (ConnectionError, TimeoutError, InterruptedError)


def fetch(uri: str) -> bytes:
    """The bytes at a uri.

    Transient errors are retried, four attempts in all. Raises UnavailableImage when nothing can be read there, and
    UnknownStore when there is no driver for the scheme.
    """
    try:
        return _read(uri)
    except (ImportError, ValueError) as error:
        raise UnknownStore(f"{uri}: {error}") from error
    except FileNotFoundError as error:
        raise UnavailableImage(f"nothing is at {uri}") from error
    except Exception as error:  # each fsspec driver raises its own kinds of error
        raise UnavailableImage(f"{uri} could not be read: {error or type(error).__name__}") from error


@retry(
    retry=retry_if_exception_type(_TRANSIENT),
    stop=stop_after_attempt(4),
    wait=wait_exponential(multiplier=0.5, max=10),
    reraise=True,
)
def _read(uri: str) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        # fsspec does not decode percent escapes in file uris; RFC 8089 has them.
        return Path(os.fsdecode(unquote_to_bytes(parts.path))).read_bytes()
    filesystem, path = fsspec.core.url_to_fs(uri)
    return bytes(filesystem.cat_file(path))
