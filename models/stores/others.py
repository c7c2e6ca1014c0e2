"""Scans of the schemes that a setting adds, through fsspec's drivers."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.parse import urlsplit

from models.stores.deadline import Deadline
from models.stores.errors import StoreUnavailable, UnavailableImage, UnknownStore
from models.stores.files import too_large
from schemas.uris import text_without_credentials

_CHUNK = 2**20


def store_name(uri: str) -> str:
    """The store of such a uri: scheme and host, or bucket."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def read(uri: str, max_bytes: int, deadline: Deadline) -> bytes:
    """The bytes at a uri. Raises UnavailableImage, StoreUnavailable and DeadlinePassed."""
    import fsspec.core

    scheme, store = urlsplit(uri).scheme, store_name(uri)
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        # fsspec's text names the package.
        hint = re.sub(r"\s+", " ", text_without_credentials(str(error)))
        raise UnknownStore(f"scans of {scheme}:// need a driver: {hint}") from error
    except Exception as error:  # each driver raises its own kinds of error
        raise StoreUnavailable(store, _reason(error), "store") from error
    try:
        with filesystem.open(path, "rb") as file:
            return _read(file, uri, max_bytes, deadline)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UnavailableImage(f"nothing is at {text_without_credentials(uri)}") from error
    except (UnavailableImage, StoreUnavailable):
        raise
    except Exception as error:  # each driver raises its own kinds of error
        _ = deadline.remaining
        raise StoreUnavailable(store, _reason(error), "scan" if deadline.answered else "unclear") from error


def _read(file: BytesIO, uri: str, max_bytes: int, deadline: Deadline) -> bytes:
    deadline.answer()
    data = BytesIO()
    while chunk := file.read(_CHUNK):
        _ = deadline.remaining
        deadline.received = data.tell() + len(chunk)
        if deadline.received > max_bytes:
            raise too_large(text_without_credentials(uri), max_bytes)
        data.write(chunk)
    return data.getvalue()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {text_without_credentials(str(error))}"[:200]
