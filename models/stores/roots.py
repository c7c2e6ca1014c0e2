"""The folders that scans may be read from: those that are set, and those that were ingested with a data folder.

`run`, `watch` and `ingest` add what they are given to a file in the data folder (`remember`); whoever reads scans with
the same data folder looks it up in there.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


@dataclass(frozen=True)
class Root:
    """A folder with all that is in it, or a single file, that may be read.

    mount: where the file system is mounted that held it when it was ingested; None for the root file system, and where
    it is not known.
    """

    path: Path
    mount: Path | None = None
    single_file: bool = False


class Roots:
    """The roots of the settings and those in a file, which is read again whenever it has changed."""

    def __init__(self, paths: Iterable[Path], file: Path | None) -> None:
        self._set = [Path(os.path.normpath(path.absolute())) for path in paths]
        self._file = file
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._roots: Mapping[Path, Root] = {path: Root(path) for path in self._set}

    def known(self) -> Mapping[Path, Root]:
        """All roots by their path."""
        with self._lock:
            if self._file is not None and (version := _version(self._file)) != self._version:
                self._roots = {path: Root(path) for path in self._set} | _read(self._file)
                self._version = version
            return self._roots

    def of(self, path: Path) -> Root | None:
        """The innermost root that a path lies in by its name alone, if any. Does not look at the path."""
        known = self.known()
        return next((known[above] for above in (path, *path.parents) if above in known), None)


def remember(file: Path, paths: Iterable[Path]) -> None:
    """Add roots to a file, which is made where it is absent. Paths are absolute."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as appended:
        fcntl.flock(appended, fcntl.LOCK_EX)
        known = _read(file)
        for path in dict.fromkeys(paths):
            root = Root(path, _mount_of(path), path.is_file())
            if known.get(path) != root:
                fields = {
                    "root": path.as_uri(),
                    "mount": root.mount.as_uri() if root.mount else None,
                    "single_file": root.single_file,
                }
                appended.write(json.dumps(fields) + "\n")


def path_of(uri: str) -> Path:
    """The path in a file uri (RFC 8089), whose escapes fsspec and urllib do not decode for names that are not UTF-8."""
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))


def _mount_of(path: Path) -> Path | None:
    real = Path(os.path.realpath(path))
    mount = next(above for above in (real, *real.parents) if os.path.ismount(above))
    return mount if mount != Path(mount.anchor) else None


def _version(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _read(file: Path) -> dict[Path, Root]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return {}
    roots: dict[Path, Root] = {}
    for line in lines:
        try:
            fields = json.loads(line)
            path, mount = path_of(fields["root"]), path_of(fields["mount"]) if fields["mount"] else None
            roots[path] = Root(path, mount, fields["single_file"])
        except (ValueError, KeyError, TypeError):
            continue  # A line that is being written, was cut off when the disk was full, or is damaged.
    return roots
