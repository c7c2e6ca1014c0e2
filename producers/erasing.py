"""Taking what a plan names out of the compacted topics, those of all generations.

Every step looks for what is left: it may be repeated at any time. Neighbours and assignments are not among it: their
consumers publish them without it (consumers/erased.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from uuid import uuid4

from erasure.digests import Digests
from producers.confirmed import send
from producers.decisions import read_decisions
from producers.erasure_plan import Plan, record_of
from producers.generations import change_generations
from producers.references import without
from schemas.base import Event
from schemas.codec import encode
from schemas.decisions import DecisionUndone
from schemas.erasures import KEPT_ONLY, ErasureState, FacesErased
from schemas.faces import ScanAnalysed
from schemas.generations import GenerationDefined
from schemas.references import ReferenceDrawn
from schemas.scans import ScanPublished
from schemas.topics import ERASURES, FACES, LABELS, REFERENCES, SCANS, Headers, Record, Tombstone, Topic
from settings import KafkaSettings
from stream.erasures import published
from stream.generations import Generations, read_generations
from stream.reading import latest_events, read_to_end
from stream.records import Positions, Received


class Eraser:
    """Takes what a plan names out of the topics of a broker.

    Raises errors.Fatal where the broker does not confirm, and KafkaError where it does not answer.
    """

    def __init__(self, kafka: KafkaSettings, plan: Plan, digests: Digests, now: Callable[[], datetime]) -> None:
        self._kafka = kafka
        self._plan = plan
        self._digests = digests
        self._now = now

    def record(self, state: ErasureState) -> None:
        """Publish how far the erasure has come."""
        send(self._kafka, [(ERASURES, self._encoded(record_of(self._plan, self._digests, state)))])

    def publish_again(self, records: Iterable[FacesErased]) -> None:
        """Publish the records of earlier erasures that the topic lacks, as after a backup was restored."""
        known = published(self._kafka).keys() | {self._plan.erasure_id}
        missing = [one for one in records if one.erasure_id not in known]
        send(self._kafka, [(ERASURES, self._encoded(one)) for one in missing])

    def rewrite(self, analysed: Positions) -> Positions:
        """Publish the records and tombstones after which the compacted topics are without it.

        `analysed`: up to where detect has read `scans`. Returns the ends of the partitions in which something was
        published; nothing where nothing was left.
        """
        messages = ((one.message, one) for one in read_to_end(self._kafka, SCANS))
        last = {message.key: one for message, one in messages if isinstance(message, ScanPublished | Tombstone)}
        # Also where detect has not read it yet: compaction takes the tombstones away.
        withdrawn = {scan_id for scan_id, one in last.items() if isinstance(one.message, Tombstone)}
        sent = send(self._kafka, [*self._scans(last.values(), analysed)])
        others = send(self._kafka, [*self._labels(), *self._faces(withdrawn)])
        return {**sent, **others, **self._replace_references()}

    def _scans(self, last: Iterable[Received], analysed: Positions) -> Iterator[tuple[Topic, Record]]:
        gone, embeddings = self._plan.face_ids, self._plan.embeddings
        for received in last:
            scan = received.message
            if not isinstance(scan, ScanPublished):
                continue
            if scan.scan_id in self._plan.scan_ids:
                yield SCANS, self._encoded(Tombstone(SCANS, scan.scan_id))
                continue
            keep = tuple(
                one for one in scan.keep if one.face_id not in gone and (one.embedding or b"") not in embeddings
            )
            if len(keep) < len(scan.keep):
                is_analysed = received.offset < analysed.get((received.topic, received.partition), 0)
                headers: Headers = ((KEPT_ONLY, b"1"),) if is_analysed else ()
                yield SCANS, self._encoded(scan.model_copy(update={"keep": keep}), headers)

    def _faces(self, withdrawn: Collection[str]) -> Iterator[tuple[Topic, Record]]:
        gone = self._plan.face_ids
        for topic in read_generations(self._kafka).topics_like(FACES):
            for analysed in latest_events(self._kafka, topic, ScanAnalysed, lambda one: one).values():
                faces = tuple(face for face in analysed.faces if face.face_id not in gone)
                if analysed.scan_id in self._plan.scan_ids or analysed.scan_id in withdrawn:
                    yield topic, self._encoded(Tombstone(topic, analysed.scan_id))
                elif len(faces) < len(analysed.faces):
                    yield topic, self._encoded(analysed.model_copy(update={"faces": faces}))

    def _labels(self) -> Iterator[tuple[Topic, Record]]:
        decisions, ids = read_decisions(self._kafka), set(self._plan.decision_ids)
        # Those that somebody made meanwhile as well.
        ids |= {
            one.decision_id
            for one in decisions
            if self._plan.face_ids.intersection(one.face_ids) or set(self._plan.label_ids).intersection(one.label_ids)
        }
        ids |= {
            one.decision_id for one in decisions if isinstance(one, DecisionUndone) and one.undone_decision_id in ids
        }
        for one in sorted(ids):
            if decisions.get(one) is not None:
                yield LABELS, self._encoded(Tombstone(LABELS, one))

    def _replace_references(self) -> Positions:
        """Put a reference without the faces in place of each that has one of them.

        In this order: there is always one, and what an attempt that was cut off has left to do is seen by the old one.
        """
        drawn = latest_events(self._kafka, REFERENCES, ReferenceDrawn, lambda one: one).values()
        left = {one.name: without(one, self._plan.embeddings) for one in drawn}
        old = [one.name for one in drawn if left[one.name] is not one]
        new = {name: one for name in old if (one := left[name]) is not None}
        send(self._kafka, [(REFERENCES, self._encoded(one)) for one in new.values()])
        names = {name: one.name for name, one in new.items()}
        if names:
            change_generations(self._kafka, self._now, lambda present: list(_with_references(present, names)))
        return send(self._kafka, [(REFERENCES, self._encoded(Tombstone(REFERENCES, name))) for name in old])

    def _encoded(self, message: Event | Tombstone, headers: Headers = ()) -> Record:
        record = encode(message, event_id=str(uuid4()), time=self._now())
        return Record(record.key, record.value, (*record.headers, *headers))


def _with_references(present: Generations, names: Mapping[str, str]) -> Iterator[GenerationDefined]:
    """The generations that name one of these references, naming the one that takes its place."""
    for defined in present.defined.values():
        new = names.get(defined.parameters.reference or "")
        if new is not None:
            yield defined.model_copy(update={"parameters": defined.parameters.model_copy(update={"reference": new})})
