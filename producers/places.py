"""Where scans lie: whether the file of a uri is there, and whether it still has the content of its scan.

Only files of this machine (`file:` uris) are looked at. Nothing is known of scans in other stores.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

# What `stat` answers where there is no such file, or a link to itself. Anything else (no permission, a network drive
# that does not answer) does not show that the file is gone.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class State(Enum):
    """What is known of a place: the file is gone, is there, or nothing (another store, or it cannot be looked at)."""

    GONE = auto()
    THERE = auto()
    UNKNOWN = auto()


def path_of(uri: str) -> Path | None:
    """The path of a `file:` uri; None for other uris."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return Path(os.fsdecode(unquote_to_bytes(parts.path))) if parts.scheme == "file" else None


def state_of(uri: str) -> State:
    """Whether a file is at this uri."""
    path = path_of(uri)
    if path is None:
        return State.UNKNOWN
    try:
        path.stat()
    except ValueError:
        return State.GONE  # A NUL, which no path holds.
    except OSError as error:
        return State.GONE if error.errno in _GONE else State.UNKNOWN
    return State.THERE


def is_same_file(uri: str, other: str) -> bool:
    """Whether two uris lead to one file of this machine, through links for example."""
    path, other_path = path_of(uri), path_of(other)
    if path is None or other_path is None:
        return False
    try:
        return path.samefile(other_path)
    except (OSError, ValueError):
        return False


def holds(uri: str, sha256: str) -> bool:
    """Whether the file at this uri has this content. True where it is not gone and cannot be read.

    Only regular files are opened: a pipe would wait for its writer, and some devices never end.
    """
    path = path_of(uri)
    if path is None:
        return True
    try:
        status = path.stat()
        return stat.S_ISREG(status.st_mode) and _digest(path, status.st_size, status.st_mtime_ns) == sha256
    except ValueError:
        return False
    except OSError as error:
        return error.errno not in _GONE


def why_unreadable(uri: str) -> str | None:
    """Why the file at this uri cannot be read; None where it can, and for other stores."""
    path = path_of(uri)
    if path is None:
        return None
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a file"
        with path.open("rb") as file:
            file.read(1)
    except ValueError:
        return "no path holds a NUL"
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


# The pages of a file are asked for one after the other.
@lru_cache(maxsize=64)
def _digest(path: Path, _size: int, _modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
