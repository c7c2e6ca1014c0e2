"""The auditor of an index shard: in idle time, what was said in `neighbours` is held against an exact search.

It follows `neighbours` behind the index, and each record is audited once. That is enough: a record has to name the
neighbours of its own and of lower analysis numbers (see index/audit.py), and of those none can come later. So what has
never been audited is what lies behind one offset of `neighbours`. That offset and the counts are the note committed
beside the index's offsets, in one transaction with the fuller records.

The owner of a shard does this in its own loop, between batches. So a fuller record is of an analysis that is live
there and then, and never comes after the tombstone of its scan. What was said is read back from `neighbours`, and the
vectors of an analysis from `faces`, where its number is its offset: nothing is kept in memory, and a shard can search
for faces that live in others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

import structlog
from pydantic import BaseModel, ConfigDict

from index.audit import Audit, audit
from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS
from settings import KafkaSettings
from stream.reading import Log

log = structlog.get_logger()

# Pairs of faces compared at a time, and records read: less than a tenth of a second on two cores each, so that new
# faces hardly wait.
_PAIRS = 2**24
_MOST_RECORDS = 200


class AuditProgress(BaseModel):
    """How far the audit of one shard has come, and what it saw.

    offset: the next one of `neighbours`. analysis: the highest one audited. Of these analyses, scans: how many they
    are, said_again: those with gaps, pairs: true pairs of neighbours, found: those that had been said at once.
    """

    model_config = ConfigDict(frozen=True)

    offset: int = 0
    analysis: int = -1
    scans: int = 0
    said_again: int = 0
    pairs: int = 0
    found: int = 0

    @classmethod
    def from_metadata(cls, note: str) -> AuditProgress:
        """What stands in the note beside the offsets of an index."""
        return cls.model_validate_json(note) if note else cls()

    @property
    def recall(self) -> float:
        """The share of the pairs that had been said before the audit; 1 where there are none."""
        return self.found / self.pairs if self.pairs else 1.0

    def and_then(self, offset: int, entries: Sequence[Analysed], seen: Audit) -> AuditProgress:
        """After these analyses, which are higher than all before."""
        return AuditProgress(
            offset=offset,
            analysis=max((it.analysis for it in entries), default=self.analysis),
            scans=self.scans + len(entries),
            said_again=self.said_again + len(seen.fuller),
            pairs=self.pairs + seen.true,
            found=self.found + seen.found,
        )


class Auditor(AbstractContextManager["Auditor"]):
    """Reads what is to be audited. Its connections are closed at the end of the context; one caller at a time."""

    def __init__(self, kafka: KafkaSettings) -> None:
        with ExitStack() as stack:
            self._neighbours = stack.enter_context(Log(kafka, NEIGHBOURS))
            self._faces = stack.enter_context(Log(kafka, FACES))
            self._stack = stack.pop_all()
        self._tell = False

    def go_on(self, index: FaceIndex, note: str) -> tuple[list[NeighboursFound], str]:
        """Audit the next few records: the fuller ones to publish, and the note to commit with them."""
        before = AuditProgress.from_metadata(note)
        most = max(1, min(_MOST_RECORDS, _PAIRS // max(1, index.faces)))
        received, offset = self._neighbours.next(before.offset, most)
        if offset == before.offset:
            self._report(before)
            return [], note
        # A scan that was said twice among them is judged by its last record.
        found = {
            it.message.scan_id: it.message
            for it in received
            if isinstance(it.message, NeighboursFound) and it.message.shard == index.parameters.shard
        }
        live = [it for it in found.values() if _is_live(index, it)]
        analyses = self._faces.at([it.analysis for it in live])
        entries = [Analysed(it.offset, it.message) for it in analyses if isinstance(it.message, ScanAnalysed)]
        first = [it for it in entries if it.analysis > before.analysis]
        seen = audit(index, first, live)
        # What the auditor itself has said again, or an index whose offsets were set back. It counts no second time.
        again = audit(index, [it for it in entries if it.analysis <= before.analysis], live)
        self._tell = True
        fuller = [*seen.fuller, *again.fuller]
        if fuller:
            log.info("neighbours said again", scans=len(fuller), missed=seen.true - seen.found)
        return fuller, before.and_then(offset, first, seen).model_dump_json()

    def _report(self, audited: AuditProgress) -> None:
        if self._tell:
            log.info("audited", scans=audited.scans, pairs=audited.pairs, recall=round(audited.recall, 6))
            self._tell = False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()


def _is_live(index: FaceIndex, found: NeighboursFound) -> bool:
    live = index.scans.get(found.scan_id)
    return live is not None and live.analysis == found.analysis
