"""Watching a folder: files are published once they are complete, through the same feed as all others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from threading import Event
from time import monotonic
from typing import Protocol

from watchfiles import Change

from errors import UserError
from producers.changes import polled, reported
from producers.feed import Feed
from producers.files import absolute, sources_in_folder
from producers.folders import (
    Excluded,
    Found,
    SkipKind,
    Skipped,
    Unreadable,
    find_images,
    has_image_name,
    is_folder,
    is_image,
    is_skipped,
    kind_of_name,
    printable,
)
from producers.identity import Verdict
from producers.missing import Missing, missing_scans
from producers.patience import PatientStores

_FILES_PER_FLUSH = 100
# A file that is gone may have been moved: its new place is published first, after it has settled.
_MOVED_WITHIN_S = 2.0


@dataclass(frozen=True)
class Options:
    """How a folder is watched.

    collection: of the scans; the folder's name if None. settle_s: a file is complete when it has not changed for so
    many seconds. polls: look at all files again and again, for drives on which the system reports no changes.
    """

    collection: str | None = None
    excluded: Excluded = field(default_factory=Excluded)
    settle_s: float = 1.0
    polls: bool = False


class Reports(Protocol):
    """What happens while a folder is watched."""

    def published(self, verdicts: Sequence[Verdict]) -> None:
        """The scans of some files, after the broker has confirmed them."""

    def skipped(self, skipped: Sequence[Skipped]) -> None:
        """Files and folders that are skipped."""

    def unreadable(self, unreadable: Sequence[Unreadable]) -> None:
        """Files and folders that cannot be read."""

    def missing(self, missing: Sequence[Missing]) -> None:
        """Scans whose file is gone, and that were not found at another place."""


@dataclass(frozen=True)
class Batch:
    """Images that are complete, and what else was observed since the batch before."""

    images: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    deleted: list[Path] = field(default_factory=list)


def watch(
    feed: Feed,
    folder: Path,
    stores: PatientStores,
    stop: Event,
    now: Callable[[], datetime],
    reports: Reports,
    options: Options | None = None,
) -> None:
    """Publish the images in a folder, and those that are put into it, until `stop` is set.

    Scans whose file is gone are reported, at the start and when it happens; none is withdrawn. Raises UserError when
    there is no such folder, and what Feed raises.
    """
    folder, options = absolute(folder), options or Options()
    is_first = True
    known_missing: set[str] = set()
    for batch in batches(folder, stop, options):
        if batch.skipped:
            reports.skipped(batch.skipped)
        sources, without_id = sources_in_folder(batch.images, folder, options.collection)
        if unreadable := [*batch.unreadable, *without_id]:
            reports.unreadable(unreadable)
        sources = feed.sources_in_order(sources)
        for start in range(0, len(sources), _FILES_PER_FLUSH):
            if stop.is_set():
                return
            together = sources[start : start + _FILES_PER_FLUSH]
            published = stores.in_turn(together, lambda source: feed.publish_file(source, now, stores.fetch))
            verdicts = [verdict for verdicts in published for verdict in verdicts]
            feed.flush()
            reports.published(verdicts)
            known_missing -= {verdict.scan.scan_id for verdict in verdicts}
        gone = [folder] if is_first else batch.deleted
        missing = missing_scans(feed.known, below=gone).missing if gone else []
        if missing := [scan for scan in missing if scan.scan_id not in known_missing]:
            reports.missing(missing)
            known_missing |= {scan.scan_id for scan in missing}
        is_first = False


def batches(folder: Path, stop: Event, options: Options) -> Iterator[Batch]:
    """What happens in a folder and below. Images come once complete: size and time unchanged for `settle_s` seconds.

    Those that exist at the start are in the first batch. A file that is written again comes again. Deleted files and
    folders come after the time in which they may turn up elsewhere. Ends when `stop` is set. Raises UserError when the
    folder does not exist, is removed, or cannot be watched.
    """
    if not is_folder(folder):
        raise UserError(f"{printable(folder)}: no such folder to watch")
    settling = Settling(options.settle_s)
    deleted: dict[Path, float] = {}
    changes = polled(folder, options.excluded, stop) if options.polls else reported(folder, stop)
    # The folder is listed after the system has begun to report changes, so that no file is missed between the two.
    next(changes, None)
    found = find_images(folder, options.excluded)
    settling.observe(found.images, monotonic())
    unreadable = {folder.path for folder in found.unreadable}
    is_first = True
    for batch in changes:
        if not is_folder(folder):
            raise UserError(f"{printable(folder)}: the watched folder was removed")
        for change, name in sorted(batch):
            path = Path(name)
            if change is Change.deleted:
                deleted[path] = monotonic()
            elif change is Change.added or name in unreadable or not is_folder(path):
                # A known folder is modified with each file in it, which is a change of its own.
                seen = _found_at(path, folder, options.excluded)
                unreadable = (unreadable - {name}) | {folder.path for folder in seen.unreadable}
                settling.observe(seen.images, monotonic())
                if change is Change.added:
                    found.skipped += seen.skipped
                found.unreadable += seen.unreadable
        images = settling.take_complete(monotonic())
        if is_first and found.images and not images and not settling.is_empty:
            continue  # The first batch has what is in the folder at the start.
        due = [path for path, time in deleted.items() if monotonic() - time >= options.settle_s + _MOVED_WITHIN_S]
        for path in due:
            del deleted[path]
        gone = [path for path in due if not os.path.lexists(path)]
        if is_first or images or found.skipped or found.unreadable or gone:
            yield Batch(images, found.skipped, found.unreadable, gone)
            found = Found()
            is_first = False


@dataclass(frozen=True)
class _Observation:
    """A file's size in bytes and time of change, and since when (seconds) they are unchanged."""

    size: int
    modified_ns: int
    since: float


class Settling:
    """Files that may still be being written. Times are seconds of a monotonic clock."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._observations: dict[Path, _Observation] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no file is observed."""
        return not self._observations

    def observe(self, paths: list[Path], time: float) -> None:
        """Observe files from now on, until they are complete."""
        for path in paths:
            self._look(path, time)

    def take_complete(self, time: float) -> list[Path]:
        """The files, sorted, that have not changed for long enough. They are no longer observed."""
        for path in list(self._observations):
            self._look(path, time)
        done = sorted(path for path, seen in self._observations.items() if time - seen.since >= self._settle_s)
        for path in done:
            del self._observations[path]
        return done

    def _look(self, path: Path, time: float) -> None:
        try:
            stat = path.stat()
        except OSError:
            # Deleted again, as the temporary files of many programs are.
            self._observations.pop(path, None)
            return
        earlier = self._observations.get(path)
        if earlier is None or (earlier.size, earlier.modified_ns) != (stat.st_size, stat.st_mtime_ns):
            self._observations[path] = _Observation(stat.st_size, stat.st_mtime_ns, time)


def _found_at(path: Path, folder: Path, excluded: Excluded) -> Found:
    """What a change is about: a folder that is moved in is one change, not one for each file."""
    below = PurePosixPath(path.relative_to(folder).as_posix())
    if below.name and is_skipped(below.parent / "file", excluded):
        return Found()
    if (kind := kind_of_name(below, is_folder(path), excluded)) is not None:
        # Programs write into hidden files for a moment.
        return Found(skipped=[] if kind is SkipKind.HIDDEN else [Skipped(str(path), kind)])
    if is_folder(path):
        return find_images(path, excluded, root=folder)
    if is_image(path):
        return Found(images=[path])
    kind = SkipKind.SPECIAL if has_image_name(path) else SkipKind.OTHER
    return Found(skipped=[Skipped(str(path), kind)])
