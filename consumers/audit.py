"""The audit of an index shard: when it has time, it compares records of `neighbours` with an exact search.

The audit reads `neighbours` behind the index, and audits each record once. That is enough: a record has to hold the
neighbours of its own and of lower analysis numbers (see index/audit.py), and no face with a lower number can be added
later. So the records that were never audited are those from one offset of `neighbours` on. That offset and the counts
are the checkpoint metadata beside the index's offsets, committed in one transaction with the corrections.

The owner of a shard audits in its own loop, between batches. So a correction is of an analysis that is live at that
moment, and is never published after the tombstone of its scan. Published records are read back from `neighbours`, and
the vectors of an analysis from `faces`, where its number is its offset. So nothing is kept in memory, and a shard can
search for faces that other shards hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

import structlog
from pydantic import BaseModel, ConfigDict, Field

from index.audit import Audit, audit
from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Topic
from settings import KafkaSettings
from stream.reading import Log, latest
from stream.records import Received

log = structlog.get_logger()

# Pairs of faces compared at a time, and records read: about a tenth of a second on two cores each, so that new faces
# hardly wait.
_PAIRS = 2**24
_MOST_RECORDS = 50


class AuditProgress(BaseModel):
    """How far the audit of one shard has come, and its counts.

    offset: the next one of `neighbours` to audit. analysis: the highest number audited. Of these analyses, scans: how
    many there are. republished: how many records missed pairs and were published again; it is stored as `said_again`,
    a name that older checkpoint metadata has. pairs: true pairs of neighbours. found: those that were published before
    the audit.
    """

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)

    offset: int = 0
    analysis: int = -1
    scans: int = 0
    republished: int = Field(default=0, alias="said_again")
    pairs: int = 0
    found: int = 0

    @classmethod
    def from_metadata(cls, metadata: str) -> AuditProgress:
        """The progress in the checkpoint metadata of an index; without any, nothing is audited yet."""
        return cls.model_validate_json(metadata) if metadata else cls()

    @property
    def recall(self) -> float:
        """The share of the pairs that were published before the audit; 1 where there are none."""
        return self.found / self.pairs if self.pairs else 1.0

    def after(self, offset: int, entries: Sequence[Analysed], result: Audit) -> AuditProgress:
        """The progress after an audit of these analyses, whose numbers are higher than all before."""
        return AuditProgress(
            offset=offset,
            analysis=max((entry.analysis for entry in entries), default=self.analysis),
            scans=self.scans + len(entries),
            republished=self.republished + len(result.corrections),
            pairs=self.pairs + result.true,
            found=self.found + result.found,
        )


class Auditor(AbstractContextManager["Auditor"]):
    """Audits one shard. Its connections are closed at the end of the context; one caller at a time."""

    def __init__(self, kafka: KafkaSettings, neighbours: Topic = NEIGHBOURS, faces: Topic = FACES) -> None:
        """neighbours: the topic that the index publishes to. faces: the one that it reads."""
        with ExitStack() as stack:
            self._neighbours = stack.enter_context(Log(kafka, neighbours))
            self._faces = stack.enter_context(Log(kafka, faces))
            self._stack = stack.pop_all()
        self._has_news = False

    def audit_next(self, index: FaceIndex, metadata: str) -> tuple[list[NeighboursFound], str]:
        """Audit the next few records: the corrections to publish, and the checkpoint metadata to commit with them."""
        progress = AuditProgress.from_metadata(metadata)
        max_records = max(1, min(_MOST_RECORDS, _PAIRS // max(1, index.faces)))
        received, offset = self._neighbours.next(progress.offset, max_records)
        if offset == progress.offset:
            self._log_recall(progress)
            return [], metadata
        if offset < progress.offset:
            # The topic ends before it: it was recreated, or has lost records.
            progress = AuditProgress()
        records = [record for record in _records_of(received, index.parameters.shard) if index.is_live(record)]
        analyses = self._faces.at([record.analysis for record in records])
        entries = [Analysed(one.offset, one.message) for one in analyses if isinstance(one.message, ScanAnalysed)]
        new = [entry for entry in entries if entry.analysis > progress.analysis]
        result = audit(index, new, records)
        # Analyses that are audited already come again after a correction, or where the index's offsets were set back.
        # They are audited too, but not counted a second time.
        repeated = audit(index, [entry for entry in entries if entry.analysis <= progress.analysis], records)
        self._has_news = True
        corrections = [*result.corrections, *repeated.corrections]
        if corrections:
            log.info("neighbours republished", scans=len(corrections), missed=result.true - result.found)
        return corrections, progress.after(offset, new, result).model_dump_json()

    def _log_recall(self, progress: AuditProgress) -> None:
        if self._has_news:
            log.info("audited", scans=progress.scans, pairs=progress.pairs, recall=round(progress.recall, 6))
            self._has_news = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def _records_of(received: Sequence[Received], shard: int) -> list[NeighboursFound]:
    """The latest of these records of each scan, as this shard published them."""
    messages = (one.message for one in received)
    records = (message for message in messages if isinstance(message, NeighboursFound) and message.shard == shard)
    return list(latest((record.key, record) for record in records).values())
