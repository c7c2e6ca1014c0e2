"""Erased faces in the consumers: detect does not publish them, and the state of index and cluster loses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from consumers.resume import note
from erasure.digests import Digests
from errors import Fatal
from index import snapshot
from index.face_index import FaceIndex
from schemas.erasures import KEPT_ONLY, ErasedScan, ErasureState, FacesErased
from schemas.faces import Face, ScanAnalysed
from schemas.neighbours import FaceNeighbours, NeighboursFound
from schemas.scans import ScanPublished
from schemas.topics import ERASURES, FACES, NEIGHBOURS, Topic
from settings import KafkaSettings, Settings
from stream.erasures import Erasures, digests_of, folder_of
from stream.reading import Log, end_of, read_to_end
from stream.records import Output, Positions, Received

log = structlog.get_logger()

MARK = "erasures"
"""A file beside snapshots: the record of `erasures` up to which they are without what was erased."""

# Records of neighbours in one transaction.
_AT_ONCE = 200


class ErasedFaces:
    """Takes erased faces out of analyses, by the erasures that are on the broker now."""

    def __init__(self, settings: Settings, erasures: Erasures) -> None:
        """The key is read when there is an erasure; Fatal is raised then where it is missing or another one."""
        self._folder = folder_of(settings)
        self._erasures = erasures
        self._known: dict[str, FacesErased] = {}
        self._digests: Digests | None = None
        self._scans: dict[str, list[ErasedScan]] = {}
        self._faces: set[str] = set()

    def without(self, analysed: ScanAnalysed, scan: ScanPublished) -> ScanAnalysed:
        """The analysis of this scan without erased faces. Raises Fatal and KafkaError.

        A face that keeps the id of another one, which stands beside the erased one, is that other one.
        """
        digests = self._look()
        if digests is None or not analysed.faces:
            return analysed
        own = digests.scan(scan.scan_id), digests.picture(scan.sha256, scan.page)
        erased = [one for digest in own for one in self._scans.get(digest, ())]
        places = {place for one in erased for place in one.places}
        kept_ids = {face.face_id for face in scan.keep}

        def is_erased(face: Face) -> bool:
            if digests.face(face.face_id) in self._faces:
                return True
            if face.face_id in kept_ids or not places:
                return False
            return any(place in places for digest in own for place in digests.places_around(digest, face.box))

        whole = any(one.whole for one in erased)
        faces = () if whole else tuple(face for face in analysed.faces if not is_erased(face))
        return analysed if len(faces) == len(analysed.faces) else analysed.model_copy(update={"faces": faces})

    def _look(self) -> Digests | None:
        records = self._erasures.records()
        if not records:
            return None
        if self._digests is None:
            self._digests = digests_of(self._folder)
        if records is not self._known:
            self._scans, self._faces = {}, set()
            for record in records.values():
                self._check_key(record, self._digests)
                self._faces.update(record.faces)
                for one in record.scans:
                    for digest in filter(None, (one.scan, one.picture)):
                        self._scans.setdefault(digest, []).append(one)
            self._known = records
        return self._digests

    def _check_key(self, record: FacesErased, digests: Digests) -> None:
        if record.key_id != digests.key_id:
            place = f"{ERASURES.name} 0/{self._erasures.offset_of(record.erasure_id)}"
            raise Fatal(
                f"an erasure was recorded with another key than the one in {self._folder} ({place}): copy the key from "
                "the data folder where facestream erase was called; a foreign record is deleted with a tombstone of "
                f"its key {record.erasure_id[:100]!r} (docs/reliability.md)"
            )


def without_kept_only(batch: Sequence[Received]) -> list[Received]:
    """The records of `scans` that are to be analysed, or withdrawn."""
    return [one for one in batch if all(name != KEPT_ONLY for name, _ in one.record.headers)]


class _Due:
    """Which records of `erasures` the snapshots in a folder are not free of yet."""

    def __init__(self, erasures: Erasures, state: ErasureState, folder: Path) -> None:
        self._erasures = erasures
        self._state = state
        self._path = folder / MARK
        self.latest = ""

    def __bool__(self) -> bool:
        self.latest = self._erasures.latest(self._state)
        return self.latest not in ("", self._done())

    def mark(self) -> None:
        """What was due is done. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self.latest)

    def _done(self) -> str:
        """What the mark says; where it is damaged, nothing that is known: the snapshots are written again."""
        return note(self._path) or ""


class IndexErasure:
    """What an index does after an erasure, when it has read all that was in `faces` by then.

    Its records of neighbours lose the faces that are not there any more; then its graph does, and its snapshots.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        index: FaceIndex,
        erasures: Erasures,
        folder: Path,
        neighbours: Topic = NEIGHBOURS,
        faces: Topic = FACES,
    ) -> None:
        """neighbours, faces: the topics that the index writes and reads."""
        self._kafka = kafka
        self._index = index
        self._neighbours = neighbours
        self._faces = faces
        self._folder = folder
        self._due = _Due(erasures, ErasureState.REWRITTEN, folder)
        self._offsets: deque[int] | None = None
        # The erasure that is due, and where `faces` ended when it was found to be.
        self._seen: tuple[str, Positions] = ("", {})

    def next(self, positions: Positions) -> Sequence[Output]:
        """What to publish now, where the index has read up to these positions; nothing when all is done."""
        if self._offsets is None:
            if not self._due or not self._has_read_all(positions):
                return ()
            shard = self._index.parameters.shard
            latest: dict[str, int | None] = {}
            for received in read_to_end(self._kafka, self._neighbours):
                message = received.message
                if isinstance(message, NeighboursFound) and message.shard == shard:
                    latest[message.key] = received.offset if self._without_the_gone(message) is not message else None
            self._offsets = deque(sorted(offset for offset in latest.values() if offset is not None))
        corrected: list[NeighboursFound] = []
        with Log(self._kafka, self._neighbours) as neighbours:
            while self._offsets and not corrected:
                some = [self._offsets.popleft() for _ in range(min(_AT_ONCE, len(self._offsets)))]
                records = [one.message for one in neighbours.at(some) if isinstance(one.message, NeighboursFound)]
                corrected = [self._without_the_gone(record) for record in records if self._index.is_live(record)]
        if not corrected:
            self._save(positions)
        return corrected

    def _has_read_all(self, positions: Positions) -> bool:
        """Whether the index has read what was there when the erasure was found to be due: a feed may never pause.

        Also what lies behind a transaction that somebody who was killed has left open.
        """
        if self._seen[0] != self._due.latest:
            self._seen = (self._due.latest, end_of(self._kafka, self._faces, with_open=True))
        return all(positions.get(one, 0) >= end for one, end in self._seen[1].items())

    def _save(self, positions: Positions) -> None:
        self._index.drop_for_good()
        (offset,) = positions.values()
        path = snapshot.save(self._index, self._folder, offset)
        snapshot.delete_all_but(path)
        self._due.mark()
        self._offsets = None
        log.info("snapshots are without what was erased", consumer="index")

    def _without_the_gone(self, record: NeighboursFound) -> NeighboursFound:
        """The record without neighbours that are no faces of this shard any more; itself where there are none."""
        there = self._index.scans_of(one for face in record.faces for one in face.neighbours)
        if all(one in there for face in record.faces for one in face.neighbours):
            return record
        return record.model_copy(update={"faces": tuple(_only(face, there) for face in record.faces)})


def _only(face: FaceNeighbours, there: dict[str, str]) -> FaceNeighbours:
    rows = [number for number, face_id in enumerate(face.neighbours) if face_id in there]
    columns = ("neighbours", "analyses", "distances")
    return face.model_copy(update={name: tuple(getattr(face, name)[row] for row in rows) for name in columns})


class ClusterErasure:
    """What a clusterer does after an erasure that is settled: its snapshots lose what was erased."""

    def __init__(self, erasures: Erasures, folder: Path, save_alone: Callable[[Positions], None]) -> None:
        """`save_alone` writes the snapshot of these positions and deletes all others."""
        self._due = _Due(erasures, ErasureState.SETTLED, folder)
        self._save_alone = save_alone

    def next(self, positions: Positions) -> Sequence[Output]:
        """Nothing is published."""
        if self._due:
            self._save_alone(positions)
            self._due.mark()
            log.info("snapshots are without what was erased", consumer="cluster")
        return ()
