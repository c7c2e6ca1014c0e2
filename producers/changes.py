"""What changes in a folder and below: as the operating system reports it, or found by polling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic

from watchfiles import Change
from watchfiles import watch as watch_files

from errors import UserError
from producers.folders import Excluded, SkipKind, find_images, printable

Changes = set[tuple[Change, str]]

_TICK_S = 0.25
_POLL_S = 1.0
# The time between two looks at a folder is at least this many times that of a look.
_REST = 2.0


def reported(folder: Path, stop: Event) -> Iterator[Changes]:
    """The changes that the operating system reports, four times a second, also when there are none.

    Raises UserError where it cannot watch the folder.
    """
    try:
        yield from watch_files(
            folder,
            stop_event=stop,
            rust_timeout=int(_TICK_S * 1000),
            yield_on_timeout=True,
            debounce=int(_TICK_S * 1000),
            step=50,
            watch_filter=None,
            # A folder that may not be read is reported when it is listed.
            ignore_permission_denied=True,
        )
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{printable(folder)}: the system does not watch this folder ({error}); --poll looks at its files instead"
        ) from error


def polled(folder: Path, excluded: Excluded, stop: Event) -> Iterator[Changes]:
    """The same from looking at all images once a second, or less often where that takes long.

    Network drives do not report what other machines change. A file or folder that cannot be read for a while is not
    the end: it is reported as deleted, and as added when it is back.
    """
    before = _look(folder, excluded)
    yield set()
    rest = _POLL_S
    while not stop.wait(_TICK_S):
        rest -= _TICK_S
        if rest > 0:
            yield set()
            continue
        started = monotonic()
        present = _look(folder, excluded)
        rest = max(_POLL_S, _REST * (monotonic() - started))
        yield _difference(before, present)
        before = present


def _look(folder: Path, excluded: Excluded) -> dict[str, tuple[int, int] | None]:
    """Size and time of change of the images by path; None for what is skipped or cannot be read."""
    found = find_images(folder, excluded)
    seen: dict[str, tuple[int, int] | None] = {
        one.path: None for one in found.skipped if one.kind is not SkipKind.HIDDEN
    }
    seen |= {one.path: None for one in found.unreadable}
    for path in found.images:
        try:
            stat = path.stat()
        except OSError:
            seen[str(path)] = None
        else:
            seen[str(path)] = (stat.st_size, stat.st_mtime_ns)
    return seen


def _difference(before: dict[str, tuple[int, int] | None], present: dict[str, tuple[int, int] | None]) -> Changes:
    changes = {(Change.deleted, path) for path in before.keys() - present.keys()}
    for path, state in present.items():
        if path not in before:
            changes.add((Change.added, path))
        elif before[path] != state:
            changes.add((Change.modified, path))
    return changes
