"""Which scan a file is: one that is published already, also where the file was moved, or a new one.

The rules are in docs/feed.md. Pure but for looking at the files of published scans (`producers.places`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath

from producers.files import UNREADABLE_SHA256
from producers.known import Known, KnownScans, metadata_digest
from producers.places import State, holds, is_same_file, path_of, state_of
from schemas.scans import ScanPublished


class Outcome(StrEnum):
    """What the feed did with a scan.

    It published it, skipped it as unchanged, published it again because it changed or because its file moved, or
    refused it because its id is that of a scan from another place.
    """

    PUBLISHED = "published"
    ALREADY_THERE = "already there"
    CHANGED = "changed"
    MOVED = "moved"
    REFUSED = "refused"


@dataclass(frozen=True)
class Verdict:
    """What is to be done with a scan, and the scan under the id that it has or gets.

    earlier_uri: the place of the published scan that it is, of which it is a copy, or which has its id. copy_of: the id
    of a published scan with the same content whose file is there too.
    """

    outcome: Outcome
    scan: ScanPublished
    earlier_uri: str | None = None
    copy_of: str | None = None


def identify(
    known: KnownScans, scan: ScanPublished, *, named: bool, described: bool, replacing: bool = False
) -> Verdict:
    """What the feed has to do with a scan.

    named: whether its id was given, by a manifest; otherwise it was made from the file's path, and a scan that is
    published under another id can be the same one. described: whether its metadata is known; otherwise that of the
    published scan stays. replacing: whether a scan with the same id from another place is replaced.
    """
    return _Identification(known, scan, named, described, replacing).verdict()


@dataclass(frozen=True)
class _Identification:
    known: KnownScans
    scan: ScanPublished
    named: bool
    described: bool
    replacing: bool

    def verdict(self) -> Verdict:
        scan_id = self.scan.scan_id
        known = self.known.get(scan_id)
        if known is not None and known.uri == self.scan.uri and self._is_unchanged(known):
            return Verdict(Outcome.ALREADY_THERE, self.scan)
        if not self.named and (scan_here := self._here()) is not None:
            return self._same_scan(scan_here)
        if not self.named and self._is_readable and (moved := self._moved_from()) is not None:
            return self._same_scan(moved, Outcome.MOVED)
        if not self.named and (replaced := self._replaced_here()) is not None:
            return self._same_scan(replaced)
        if known is None:
            return Verdict(Outcome.PUBLISHED, self.scan, copy_of=self._original())
        if known.uri == self.scan.uri:
            return self._same_scan(scan_id)
        return self._from_another_place(known)

    @property
    def _is_readable(self) -> bool:
        return self.scan.sha256 != UNREADABLE_SHA256

    def _is_unchanged(self, known: Known) -> bool:
        """Whether a scan is as it was published. A file that cannot be read now counts as having the same content."""
        return (
            self.scan.sha256 in (known.sha256, UNREADABLE_SHA256)
            and (known.uri, known.page, known.collection) == (self.scan.uri, self.scan.page, self.scan.collection)
            and (not self.described or known.metadata == metadata_digest(self.scan))
        )

    def _same_scan(self, scan_id: str, changed: Outcome = Outcome.CHANGED) -> Verdict:
        """The scan is this published one: under its id, with the time at which it was first published."""
        known = self.known[scan_id]
        if self._is_unchanged(known):
            return Verdict(Outcome.ALREADY_THERE, self.scan.model_copy(update={"scan_id": scan_id}))
        updates: dict[str, object] = {"scan_id": scan_id, "published_at": known.published_at}
        if not self._is_readable:
            updates["sha256"] = known.sha256
        return Verdict(changed, self.scan.model_copy(update=updates), earlier_uri=known.uri)

    def _ids_here(self) -> list[str]:
        """The scans of this file and page, in this collection: that of the scan's own id last."""
        return sorted(
            (
                scan_id
                for scan_id in self._of_this_page(self.known.at_place(self.scan.uri))
                if self.known[scan_id].collection == self.scan.collection
            ),
            key=lambda scan_id: (scan_id == self.scan.scan_id, scan_id),
        )

    def _with_this_content(self) -> list[str]:
        return self._of_this_page(self.known.with_content(self.scan.sha256))

    def _of_this_page(self, scan_ids: Iterable[str]) -> list[str]:
        return [scan_id for scan_id in scan_ids if self.known[scan_id].page == self.scan.page]

    def _here(self) -> str | None:
        """The scan of this file with the same content. Its id is another one where the file came from elsewhere."""
        ids = self._ids_here()
        same = [scan_id for scan_id in ids if self.known[scan_id].sha256 == self.scan.sha256]
        if not self._is_readable:
            same = ids
        # Its own id first, if there is a choice.
        return same[-1] if same else None

    def _replaced_here(self) -> str | None:
        """The scan of this file with other content. One that came from elsewhere has displaced the one before it."""
        ids = self._ids_here()
        return ids[0] if ids else None

    def _moved_from(self) -> str | None:
        """The scan with this content whose file is gone from its place, or is another one there; same names first."""
        if state_of(self.scan.uri) is not State.THERE:
            return None
        name = _file_name(self.scan.uri)
        candidates = sorted(
            self._with_this_content(),
            key=lambda scan_id: (
                scan_id != self.scan.scan_id,
                _file_name(self.known[scan_id].uri) != name,
                scan_id,
            ),
        )
        for scan_id in candidates:
            uri = self.known[scan_id].uri
            if uri != self.scan.uri and not holds(uri, self.scan.sha256):
                return scan_id
        return None

    def _original(self) -> str | None:
        """A scan with this content whose file is there too."""
        if not self._is_readable or state_of(self.scan.uri) is not State.THERE:
            return None
        for scan_id in sorted(self._with_this_content()):
            uri = self.known[scan_id].uri
            if state_of(uri) is State.THERE and holds(uri, self.scan.sha256):
                return scan_id
        return None

    def _from_another_place(self, known: Known) -> Verdict:
        """The id is that of a published scan whose file is elsewhere."""
        scan_id, here, there = self.scan.scan_id, state_of(self.scan.uri), state_of(known.uri)
        if self.replacing and self._is_readable:
            return self._same_scan(scan_id)
        if not self._is_readable:
            # A place that cannot be read does not supersede one that may be.
            return Verdict(Outcome.ALREADY_THERE, self.scan, earlier_uri=known.uri)
        if self.scan.sha256 == known.sha256:
            return self._same_content_elsewhere(known, here, there)
        if known.sha256 == UNREADABLE_SHA256 and there is not State.THERE:
            return self._same_scan(scan_id)
        return Verdict(Outcome.REFUSED, self.scan, earlier_uri=known.uri)

    def _same_content_elsewhere(self, known: Known, here: State, there: State) -> Verdict:
        scan_id = self.scan.scan_id
        if here is State.THERE and there is not State.UNKNOWN:
            if not holds(known.uri, known.sha256):
                return self._same_scan(scan_id, Outcome.MOVED)
            if is_same_file(self.scan.uri, known.uri):
                return self._same_scan_at(known)
            return Verdict(Outcome.ALREADY_THERE, self.scan, earlier_uri=known.uri, copy_of=scan_id)
        if here is State.GONE and there is State.THERE:
            return Verdict(Outcome.ALREADY_THERE, self.scan, earlier_uri=known.uri)
        return self._same_scan(scan_id)

    def _same_scan_at(self, known: Known) -> Verdict:
        """The file of the published scan, reached by another path, which is not published for it."""
        return replace(self, scan=self.scan.model_copy(update={"uri": known.uri}))._same_scan(self.scan.scan_id)


def _file_name(uri: str) -> str:
    return (path_of(uri) or PurePosixPath(uri)).name
