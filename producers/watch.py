"""Watching a folder: files are handed on when they are complete, through the same feed as everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from time import monotonic

from watchfiles import Change
from watchfiles import watch as changes_in

from errors import UserError
from producers.feed import Feed, Outcome
from producers.files import absolute, find_images, is_image, scans_of, source_in_folder
from schemas.scans import ScanPublished

_TICK_S = 0.25
_FILES_PER_FLUSH = 100


def watch(
    feed: Feed,
    folder: Path,
    stop: Event,
    now: Callable[[], datetime],
    report: Callable[[ScanPublished, Outcome], None],
    collection: str | None = None,
    settle_s: float = 1.0,
) -> None:
    """Publish what is in a folder and what is put into it, until `stop` is set.

    `report` is told of each scan after the broker has confirmed it. Raises UserError when there is no such folder,
    and what Feed raises.
    """
    folder = absolute(folder)
    for paths in completed(folder, stop, settle_s):
        for start in range(0, len(paths), _FILES_PER_FLUSH):
            if stop.is_set():
                return
            outcomes = [
                (scan, feed.publish(scan))
                for path in paths[start : start + _FILES_PER_FLUSH]
                for scan in scans_of(source_in_folder(path, folder, collection), now)
            ]
            feed.flush()
            for scan, outcome in outcomes:
                report(scan, outcome)


def completed(folder: Path, stop: Event, settle_s: float = 1.0) -> Iterator[list[Path]]:
    """The images in a folder and below as they are complete: sizes and times unchanged for `settle_s` seconds.

    What is there at the start comes first. A file that is written again comes again. Ends when `stop` is set.
    Raises UserError when the folder is not there, or no longer.
    The system tells of changes, except on network drives: there WATCHFILES_FORCE_POLLING=true makes it look itself.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder to watch")
    settling = Settling(settle_s)
    changes = changes_in(
        folder,
        stop_event=stop,
        rust_timeout=int(_TICK_S * 1000),
        yield_on_timeout=True,
        debounce=int(_TICK_S * 1000),
        step=50,
        watch_filter=None,
    )
    # The first look comes after the system has been asked to tell of changes, so that nothing falls between.
    next(changes, None)
    settling.see(find_images(folder)[0], monotonic())
    for batch in changes:
        if not folder.is_dir():
            raise UserError(f"{folder}: the watched folder is gone")
        for change, name in sorted(batch):
            if change is not Change.deleted:
                settling.see(_images_at(Path(name), folder), monotonic())
        if complete := settling.complete(monotonic()):
            yield complete


@dataclass(frozen=True)
class _Sight:
    size: int
    modified_ns: int
    since: float


class Settling:
    """Files that were seen and may still be being written. Times are seconds of a monotonic clock."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._sights: dict[Path, _Sight] = {}

    def see(self, paths: list[Path], time: float) -> None:
        """Look at files from now on, until they are complete."""
        for path in paths:
            self._look(path, time)

    def complete(self, time: float) -> list[Path]:
        """The files, sorted, that have not changed for long enough. They are forgotten."""
        for path in list(self._sights):
            self._look(path, time)
        done = sorted(path for path, sight in self._sights.items() if time - sight.since >= self._settle_s)
        for path in done:
            del self._sights[path]
        return done

    def _look(self, path: Path, time: float) -> None:
        try:
            stat = path.stat()
        except OSError:
            # Gone again, as the temporary files of many programs are.
            self._sights.pop(path, None)
            return
        earlier = self._sights.get(path)
        if earlier is None or (earlier.size, earlier.modified_ns) != (stat.st_size, stat.st_mtime_ns):
            self._sights[path] = _Sight(stat.st_size, stat.st_mtime_ns, time)


def _images_at(path: Path, folder: Path) -> list[Path]:
    """The images that a change speaks of: a folder that was moved in is told of once, not file by file."""
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return []
    if path.is_dir():
        return find_images(path)[0]
    return [path] if is_image(path) else []
