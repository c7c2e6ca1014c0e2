"""Watching a folder: files are published once they are complete, through the same feed as all others."""

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
    """Publish the images in a folder, and those that are put into it, until `stop` is set.

    `report` is called for each scan after the broker has confirmed it. `settle_s`, in seconds, is as in `completed`.
    Raises UserError when there is no such folder, and what Feed raises.
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
    """The images in a folder and below, once complete: size and time of change unchanged for `settle_s` seconds.

    Images that exist at the start come first. A file that is written again comes again. Ends when `stop` is set.
    Raises UserError when the folder does not exist, or is removed.
    The operating system reports changes, except on network drives: there set WATCHFILES_FORCE_POLLING=true to poll.
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
    # The folder is listed after the system has begun to report changes, so that no file is missed between the two.
    next(changes, None)
    settling.observe(find_images(folder)[0], monotonic())
    for batch in changes:
        if not folder.is_dir():
            raise UserError(f"{folder}: the watched folder was removed")
        for change, name in sorted(batch):
            if change is not Change.deleted:
                settling.observe(_images_at(Path(name), folder), monotonic())
        if complete := settling.take_complete(monotonic()):
            yield complete


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


def _images_at(path: Path, folder: Path) -> list[Path]:
    """The images that a change is about: a folder that is moved in is one change, not one for each file."""
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return []
    if path.is_dir():
        return find_images(path)[0]
    return [path] if is_image(path) else []
