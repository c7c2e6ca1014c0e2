"""Files of this machine: regular files below the roots, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from models.stores.deadline import Deadline
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.roots import Root, Roots, path_of
from schemas.uris import without_credentials

NO_ROOT = "files"
"""The store of a file that lies below no root."""

_CHUNK = 2**22
_LONGEST_PATH = 4096
_ALLOW = "allow its folder with FACESTREAM_STORES__ROOTS"
# Errors of a disk or network drive, not of the file's name. EIO may be one bad sector.
_OF_THE_DRIVE = {
    getattr(errno, name)
    for name in ("ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENODEV",
                 "ENXIO", "ECONNREFUSED", "ECONNRESET", "EREMOTEIO", "EMFILE", "ENFILE")
    if hasattr(errno, name)
}  # fmt: skip


def root_name(roots: Roots, uri: str) -> str:
    """The store of a file uri: its root. Touches no file."""
    root = roots.of(_normal(path_of(uri)))
    return str(root.path) if root else NO_ROOT


def read(uri: str, roots: Roots, max_bytes: int, deadline: Deadline) -> bytes:
    """The bytes of a file. Raises UnavailableImage, StoreUnavailable and DeadlinePassed."""
    parts, path, uri = urlsplit(uri), _normal(path_of(uri)), without_credentials(uri)
    if parts.netloc not in ("", "localhost"):
        raise UnavailableImage(f"{uri}: a file uri names no host, and file:///folder/scan.jpg has three slashes")
    if parts.query or parts.fragment:
        raise UnavailableImage(f"{uri}: in a file uri ? and # are written %3F and %23")
    if not path.is_absolute():
        raise UnavailableImage(f"{uri}: a file uri has the whole path, as file:///folder/scan.jpg")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise UnavailableImage(f"{uri} cannot be read (the path is too long)")
    if not roots.known():
        raise StoreUnavailable(NO_ROOT, "no folder may be read yet: set FACESTREAM_STORES__ROOTS", "store")
    root = roots.of(path)
    folder, inside = _allowed(uri, path, root, roots)
    try:
        with _opened(uri, folder, inside) as (file, size):
            if size > max_bytes:
                raise too_large(uri, max_bytes, size)
            return _read(uri, file, max_bytes, deadline)
    except (FileNotFoundError, NotADirectoryError) as error:
        _raise_if_away(root or Root(folder))
        raise UnavailableImage(f"nothing is at {uri}") from error
    except PermissionError as error:
        _raise_if_away(root or Root(folder))  # a share may refuse everything, as when its login has expired
        raise UnavailableImage(f"{uri} must not be read by this user ({error.strerror})") from error
    except OSError as error:
        _raise_if_away(root or Root(folder))
        store, reason = str(root.path if root else folder), error.strerror or type(error).__name__
        if error.errno in _OF_THE_DRIVE:
            raise StoreUnavailable(store, reason, "store") from error
        if error.errno == errno.EIO:
            raise StoreUnavailable(store, reason, "unclear") from error
        raise UnavailableImage(f"{uri} cannot be read ({reason})") from error


def too_large(uri: str, max_bytes: int, size: int | None = None) -> UnavailableImage:
    """The error for a scan that is larger than is read."""
    has = f"has {size:,} bytes" if size else "is larger than is read"
    return UnavailableImage(f"{uri} {has}, at most {max_bytes:,} are read (FACESTREAM_STORES__MAX_BYTES)")


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _allowed(uri: str, path: Path, root: Root | None, roots: Roots) -> tuple[Path, Path]:
    """The folder, without links, that the file may be read below, and the path from there. Raises UnavailableImage."""
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise UnavailableImage(f"{uri} cannot be read (not a path)") from error
    # The others are looked at only where a link leads out of the scan's own root: one of them may hang.
    candidates = [root] if root else []
    for candidate in (*candidates, *(other for other in roots.known().values() if other != root)):
        base = Path(os.path.realpath(candidate.path))
        if real == base:
            return base.parent, Path(base.name)
        if real.is_relative_to(base):
            return base, real.relative_to(base)
    if root is None:
        raise UnavailableImage(f"{uri} is outside of the folders that may be read: {_ALLOW}")
    raise UnavailableImage(f"{uri} is a link out of the folders that may be read: {_ALLOW}")


@contextlib.contextmanager
def _opened(uri: str, folder: Path, inside: Path) -> Iterator[tuple[int, int]]:
    """A regular file and its size in bytes. Follows no link: whoever puts one there now does not lead us elsewhere."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in inside.parts[:-1]:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        # Before it is opened: opening a device may do something, such as rewind a tape.
        _refuse_irregular(uri, os.stat(inside.name, dir_fd=descriptor, follow_symlinks=False).st_mode)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        below = os.open(inside.name, flags, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
        status = os.fstat(descriptor)
        _refuse_irregular(uri, status.st_mode)
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _refuse_irregular(uri: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
        raise UnavailableImage(f"{uri} is {kinds.get(stat.S_IFMT(mode), 'a device')}, only files are read")


def _read(uri: str, file: int, max_bytes: int, deadline: Deadline) -> bytes:
    deadline.answer()
    data = BytesIO()
    while chunk := os.read(file, _CHUNK):
        _ = deadline.remaining
        deadline.received = data.tell() + len(chunk)
        # The file may grow while it is read.
        if deadline.received > max_bytes:
            raise too_large(uri, max_bytes)
        data.write(chunk)
    return data.getvalue()


def _raise_if_away(root: Root) -> None:
    """Raise StoreUnavailable where it is not the file that is missing, but its root."""
    store = str(root.path)
    if root.mount and not os.path.ismount(root.mount):
        raise StoreUnavailable(store, f"{root.mount} is not mounted", "store")
    folder = root.path.parent if root.single_file else root.path
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreUnavailable(store, f"the folder {folder} is not there", "store") from error
    except OSError as error:
        raise StoreUnavailable(store, f"the folder {folder} cannot be read ({error.strerror})", "store") from error
    if empty and not root.single_file:
        raise StoreUnavailable(store, "the folder is empty, as where a drive is not mounted", "store")
