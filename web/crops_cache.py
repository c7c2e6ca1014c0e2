"""Pictures kept on disk, within a limit: those that were not looked at for the longest time go first.

Files, each whole or absent, so that whoever deletes some of them, or the folder, breaks nothing. The folder belongs to
one process. A library for this, diskcache, has been without a release since 2023, and unpickles what it finds
(CVE-2025-69872).
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".jpg"
# How a JPEG begins and ends: after a crash of the machine a file may be there without all its bytes.
_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"


class PictureCache:
    """JPEG pictures by name, in a folder, of at most `limit_bytes` together. Its methods may be called by any thread.

    A name is one or more parts of letters, digits and dashes, separated by slashes.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._total = 0
        # The size of each picture, that which was looked at last at the end.
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def open(self) -> None:
        """Make the folder, for its owner alone, and take over what is in it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = []
        for path in self._folder.rglob("*"):
            if path.suffix == _SUFFIX:
                stat = path.stat()
                found.append((stat.st_mtime_ns, str(path.relative_to(self._folder).with_suffix("")), stat.st_size))
            elif path.is_file():  # what was being written when the process ended
                path.unlink(missing_ok=True)
        with self._lock:
            self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
            self._total = sum(self._sizes.values())
            self._keep_to_limit()

    def get(self, name: str) -> bytes | None:
        """A picture; None where it is not kept."""
        path = self._path(name)
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
        try:
            picture = path.read_bytes()
            if picture.startswith(_BEGIN) and picture.endswith(_END):
                os.utime(path)
                return picture
        except OSError:
            pass  # somebody deleted it
        with self._lock:
            self._remove(name)
        return None

    def __contains__(self, name: str) -> bool:
        """Whether a picture is kept, as far as is known without looking."""
        with self._lock:
            return name in self._sizes

    def put(self, pictures: Mapping[str, bytes]) -> None:
        """Keep pictures. Where the disk is full they are not kept."""
        for name, picture in pictures.items():
            if len(picture) <= self._limit and self._write(self._path(name), picture):
                with self._lock:
                    self._total += len(picture) - self._sizes.pop(name, 0)
                    self._sizes[name] = len(picture)
                    self._keep_to_limit()

    def _write(self, path: Path, picture: bytes) -> bool:
        partial = path.with_suffix(f".{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(picture)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            return False
        return True

    def _keep_to_limit(self) -> None:
        while self._total > self._limit:
            self._remove(next(iter(self._sizes)))

    def _remove(self, name: str) -> None:
        self._total -= self._sizes.pop(name, 0)
        with suppress(OSError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"
