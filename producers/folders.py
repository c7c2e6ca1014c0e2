"""The images below a folder: what is skipped, and what cannot be read, is reported and ends nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from errors import UserError
from models.formats import MEDIA_TYPES

# Folders in which network drives and operating systems keep thumbnails, deleted files and snapshots; case is ignored.
SYSTEM_FOLDERS = (
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "@__thumb",
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    ".Trash*",
    "lost+found",
    "__MACOSX",
)
_SYSTEM_FOLDERS = tuple(name.lower() for name in SYSTEM_FOLDERS)


class SkipKind(StrEnum):
    """Why a file or folder is skipped.

    It has no image's name; it is hidden, a system folder, excluded, a pipe, socket or device, or a folder that was read
    already by another path.
    """

    OTHER = "other"
    HIDDEN = "hidden"
    SYSTEM = "system"
    EXCLUDED = "excluded"
    SPECIAL = "special"
    TWICE = "twice"


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is skipped. A folder counts as one, whatever is in it."""

    path: str
    kind: SkipKind


@dataclass(frozen=True)
class Unreadable:
    """A file or folder that cannot be read, and the reason, as the operating system gives it."""

    path: str
    reason: str


@dataclass
class Found:
    """What a folder holds: its images, sorted; what is skipped; what cannot be read."""

    images: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True)
class Excluded:
    """Patterns of what is skipped, as a shell's: `*`, `?` and `[...]`.

    A pattern is compared with the name of each file and folder; one with a `/` with the path below the folder that is
    searched. A `/` at the end restricts it to folders. Raises UserError for an empty pattern.
    """

    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the patterns."""
        if not all(pattern.strip("/") for pattern in self.patterns):
            raise UserError("--exclude: a pattern for names is needed, such as '*_thumb.jpg' or 'drafts'")

    def matches(self, path: PurePosixPath, is_folder: bool) -> bool:
        """Whether a path below the folder that is searched is excluded by itself."""
        return any(self._matches(pattern, path, is_folder) for pattern in self.patterns)

    @staticmethod
    def _matches(pattern: str, path: PurePosixPath, is_folder: bool) -> bool:
        if pattern.endswith("/"):
            if not is_folder:
                return False
            pattern = pattern.rstrip("/")
        if "/" in pattern:
            return fnmatchcase(str(path), pattern.removeprefix("/").removeprefix("./"))
        return fnmatchcase(path.name, pattern)


def find_images(folder: Path, excluded: Excluded | None = None, root: Path | None = None) -> Found:
    """The images in a folder and below, without hidden files, system folders and what is excluded.

    Links are followed, each folder is read once. What cannot be read is in the result, and the rest goes on. `root` is
    the folder to which patterns with a `/` refer, if it is another one.
    """
    walk = _Walk(root or folder, excluded or Excluded())
    walk.read(folder)
    walk.found.images.sort()
    return walk.found


class _Walk:
    def __init__(self, root: Path, excluded: Excluded) -> None:
        self.found = Found()
        self._root = root
        self._excluded = excluded
        self._read_folders: set[str] = set()

    def read(self, folder: Path) -> None:
        pending = [folder]
        while pending:
            pending += reversed(self._read_one(pending.pop()))

    def _read_one(self, folder: Path) -> list[Path]:
        """Read one folder. Returns the folders in it that are to be read."""
        real = os.path.realpath(folder)
        if real in self._read_folders:
            self._skip(folder, SkipKind.TWICE)
            return []
        self._read_folders.add(real)
        folders: list[Path] = []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = folder / entry.name
                    below = PurePosixPath(path.relative_to(self._root).as_posix())
                    if (kind := kind_of_name(below, _is_folder(entry), self._excluded)) is not None:
                        self._skip(path, kind)
                    elif _is_folder(entry):
                        folders.append(path)
                    else:
                        self._take_file(path)
        except FileNotFoundError:
            pass  # It was deleted while the folder above it was read.
        except OSError as error:
            self.found.unreadable.append(Unreadable(str(folder), error.strerror or type(error).__name__))
        return folders

    def _take_file(self, path: Path) -> None:
        if not has_image_name(path):
            self._skip(path, SkipKind.OTHER)
        elif is_regular(path):
            self.found.images.append(path)
        else:
            self._skip(path, SkipKind.SPECIAL)

    def _skip(self, path: Path, kind: SkipKind) -> None:
        self.found.skipped.append(Skipped(str(path), kind))


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, as far as it can be looked at."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def has_image_name(path: Path) -> bool:
    """Whether a file's name ends as an image's does."""
    return path.suffix.lower() in MEDIA_TYPES


def is_regular(path: Path) -> bool:
    """Whether a path is no folder, pipe, socket or device. True where it cannot be looked at: reading it shows why."""
    try:
        return path.is_file() or not path.exists()
    except OSError:
        return True


def is_image(path: Path) -> bool:
    """Whether a path is published as a scan: it has the extension of an image, and is no pipe, socket or device."""
    return has_image_name(path) and is_regular(path)


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name is skipped by default."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in _SYSTEM_FOLDERS)


def kind_of_name(path: PurePosixPath, is_a_folder: bool, excluded: Excluded) -> SkipKind | None:
    """Why a path below the folder that is searched is skipped because of its own name; None if it is not."""
    if is_a_folder and is_system_folder(path.name):
        return SkipKind.SYSTEM
    if path.name.startswith("."):
        return SkipKind.HIDDEN
    return SkipKind.EXCLUDED if excluded.matches(path, is_a_folder) else None


def is_skipped(path: PurePosixPath, excluded: Excluded) -> bool:
    """Whether a file below the folder that is searched is skipped because of its name or a folder's."""
    folders = [parent for parent in path.parents if parent.name]
    return kind_of_name(path, False, excluded) is not None or any(
        kind_of_name(folder, True, excluded) is not None for folder in folders
    )


def printable(path: str | Path | PurePosixPath) -> str:
    r"""A path for people: bytes that are not UTF-8, line ends and other control characters as escapes (\xf5, \n)."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def counted_by_kind(skipped: Iterable[Skipped]) -> dict[SkipKind, int]:
    """The number of skipped files and folders of each kind that there are any of, in the order of SkipKind."""
    counts = Counter(one.kind for one in skipped)
    return {kind: counts[kind] for kind in SkipKind if counts[kind]}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
