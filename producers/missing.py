"""Published scans whose file is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from producers.folders import has_image_name, is_folder, printable
from producers.known import Known, KnownScans
from producers.places import State, holds, path_of, state_of


@dataclass(frozen=True)
class Missing:
    """A published scan whose file is gone, and what is at its place. The path is as it is printed."""

    scan_id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Missings:
    """Scans whose files are gone, by id; scans of which that is unclear; and how many are not looked at.

    away: the folder above them is empty, as the mount point of a drive is that is not mounted, or it cannot be read.
    elsewhere: the number of scans in other stores than the files of this machine.
    """

    missing: list[Missing]
    away: list[Missing]
    elsewhere: int


def missing_scans(known: KnownScans, below: Sequence[Path] | None = None) -> Missings:
    """The scans whose file is gone; those `below` these folders or files only, if given."""
    missing: list[Missing] = []
    away: list[Missing] = []
    elsewhere = 0
    where_it_ends = cache(_where_it_ends)
    for scan_id, scan in known.items() if below is None else _below(known, below):
        path = path_of(scan.uri)
        if path is None:
            elsewhere += 1
            continue
        match state_of(scan.uri):
            case State.THERE:
                if (other := _displaced_by(known, scan_id)) is not None:
                    missing.append(Missing(scan_id, printable(path), f"the scan {other} is there now"))
            case State.GONE:
                reason, is_away = where_it_ends(path.parent)
                (away if is_away else missing).append(Missing(scan_id, printable(path), reason))
            case State.UNKNOWN:
                away.append(Missing(scan_id, printable(path), "the place cannot be looked at"))
    return Missings(sorted(missing, key=_by_id), sorted(away, key=_by_id), elsewhere)


def _by_id(scan: Missing) -> str:
    return scan.scan_id


def _below(known: KnownScans, paths: Sequence[Path]) -> Iterator[tuple[str, Known]]:
    """The scans of these files, and of the files in these folders and below."""
    # One that was an image is no folder: this keeps the prefixes few.
    folders = [f"{path.as_uri()}/" for path in paths if not has_image_name(path)]
    return known.below([path.as_uri() for path in paths], folders)


def _displaced_by(known: KnownScans, scan_id: str) -> str | None:
    """The scan that is at the place of this one now: of two scans of one file and page, one has its content."""
    scan = known[scan_id]
    others = [
        other
        for other in known.at_place(scan.uri)
        if known[other].page == scan.page and known[other].sha256 != scan.sha256
    ]
    if not others or holds(scan.uri, scan.sha256):
        return None
    return next((other for other in others if holds(scan.uri, known[other].sha256)), None)


def _where_it_ends(folder: Path) -> tuple[str, bool]:
    """What there is of the path to a folder in which a file is gone, and whether a drive may be away."""
    if is_folder(folder):
        return "the file is gone", False
    ancestor = next(parent for parent in folder.parents if is_folder(parent) or not parent.name)
    try:
        is_empty = not any(ancestor.iterdir())
    except OSError:
        is_empty = True
    if is_empty:
        advice = "remove this folder if its files are really deleted"
        return f"{printable(ancestor)} is empty, as if a drive were not mounted there; {advice}", True
    return f"the folder {printable(folder)} is gone", False
