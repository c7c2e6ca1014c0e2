"""What the topics hold of scans, faces and decisions, to make plans of erasures from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from decisions.holding import Decisions
from decisions.people import known_person
from erasure.digests import Digests
from errors import UserError
from producers.decisions import read_decisions
from producers.erasure_plan import ErasedFace, Plan
from schemas.clusters import FaceAssigned
from schemas.decisions import DecisionUndone, FaceNamed, PersonRenamed
from schemas.erasures import ErasedScan, FacesErased
from schemas.faces import ScanAnalysed
from schemas.scans import Box, ScanPublished
from schemas.topics import ASSIGNMENTS, FACES, SCANS, of_generation
from settings import KafkaSettings
from stream.generations import read_generations
from stream.reading import latest_events, read_to_end


@dataclass
class _Held:
    """What the topics hold of faces and scans: superseded records too, as long as they are there."""

    scans: dict[str, ScanPublished] = field(default_factory=dict)
    analysed: set[str] = field(default_factory=set)
    scan_of: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    embeddings: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    faces_of: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, scan_id: str, face_id: str, box: Box, embedding: bytes | None) -> None:
        self.scan_of[face_id] = scan_id
        self.boxes[face_id] = box
        self.faces_of[scan_id].add(face_id)
        if embedding is not None:
            self.embeddings[face_id].add(embedding)

    def erased(self, face_id: str) -> ErasedFace:
        return ErasedFace(
            face_id=face_id,
            scan_id=self.scan_of.get(face_id, ""),
            box=self.boxes.get(face_id),
            embeddings=tuple(sorted(self.embeddings.get(face_id, ()))),
        )


class Archive:
    """What the topics hold, read once, to make plans from."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Reads `scans`, `labels`, and `faces` of every generation. A million faces are read in about a minute."""
        self._kafka = kafka
        self._generations = read_generations(kafka)
        self.decisions: Decisions = read_decisions(kafka)
        self._held = _Held()
        for received in read_to_end(kafka, SCANS):
            message = received.message
            if isinstance(message, ScanPublished):
                self._held.scans[message.scan_id] = message
                for face in message.keep:
                    self._held.add(message.scan_id, face.face_id, face.box, face.embedding)
        for topic in self._generations.topics_like(FACES):
            for received in read_to_end(kafka, topic):
                message = received.message
                if not isinstance(message, ScanAnalysed):
                    continue
                self._held.analysed.add(message.scan_id)
                for one in message.faces:
                    # That of a generation may be of an earlier analysis.
                    box = one.box if topic == FACES else self._held.boxes.get(one.face_id, one.box)
                    self._held.add(message.scan_id, one.face_id, box, one.embedding)

    def plan_for_scan(self, scan_id: str, now: datetime) -> Plan:
        """The plan for a scan with all its faces. Raises UserError where there is none."""
        if scan_id not in self._held.scans and scan_id not in self._held.analysed:
            raise UserError(f"no scan {scan_id!r} is published, and none is held: nothing was erased")
        return self._plan("scan", now, self._held.faces_of[scan_id], scan_ids=(scan_id,))

    def plan_for_face(self, prefix: str, now: datetime) -> Plan:
        """The plan for the one face whose id is this or begins with this. Raises UserError."""
        known = {*self._held.scan_of, *(one for decision in self.decisions for one in decision.face_ids)}
        found = [prefix] if prefix in known else sorted(one for one in known if one.startswith(prefix))
        if len(found) != 1 or not prefix:
            problem = "no face has" if not found else f"{len(found)} faces have"
            raise UserError(f"{problem} an id that is or begins with {prefix!r}: nothing was erased")
        return self._plan("face", now, found)

    def label_ids_of(self, person: str) -> frozenset[str]:
        """The label ids of the one person of this label id or name. Raises UserError.

        Also of one who was removed, or whose names were all undone: the decisions are there.
        """
        known = self.decisions.known_labels()
        try:
            person_id = known_person(person, known).label_id
        except UserError:
            named = {
                one.label_id: one
                for one in self.decisions
                if isinstance(one, FaceNamed | PersonRenamed)
                and person.casefold() in (one.name.casefold(), one.label_id.casefold())
            }
            if len(named) != 1:
                raise
            person_id = next(iter(named))
        all_ids = {one for decision in self.decisions for one in decision.label_ids}
        return frozenset({one for one in all_ids if self.decisions.person_of(one) == person_id} | {person_id})

    def proposed(self, label_ids: Collection[str]) -> set[str]:
        """The faces for which one of these people is the most probable one, and that have no name.

        As the live generation has it, which is what people see.
        """
        assigned = latest_events(
            self._kafka,
            of_generation(ASSIGNMENTS, self._generations.live),
            FaceAssigned,
            lambda one: one.face_id if one.soft_label and one.soft_label.label_id in label_ids else None,
        )
        return set(assigned.values())

    def named(self, label_ids: Collection[str]) -> set[str]:
        """The faces that decisions give one of these people as their name."""
        about = {one.face_id for one in self.decisions if isinstance(one, FaceNamed) and one.label_id in label_ids}
        hard = {face_id: self.decisions.labels(face_id).hard for face_id in about}
        return {face_id for face_id, label_id in hard.items() if label_id in label_ids}

    def plan_for_person(self, person: str, now: datetime, *, proposed: bool) -> Plan:
        """The plan for the faces that are named so, with all that was decided about the person. Raises UserError.

        proposed: also those for which the name is the most probable one.
        """
        label_ids = self.label_ids_of(person)
        faces = self.named(label_ids) | (self.proposed(label_ids) if proposed else set())
        return self._plan("person", now, faces, label_ids=label_ids)

    def plan_again(self, records: Iterable[FacesErased], digests: Digests, now: datetime) -> Plan:
        """The plan for what is there again of earlier erasures."""
        known = _Known(records, digests)
        scan_ids = {*self._held.scans, *self._held.analysed}
        whole = {scan_id for scan_id in scan_ids if known.is_whole(scan_id)}
        faces = {face_id for scan_id in whole for face_id in self._held.faces_of[scan_id]}
        for face_id, scan_id in self._held.scan_of.items():
            scan = self._held.scans.get(scan_id)
            if known.has(face_id, scan_id, scan, self._held.boxes[face_id]):
                faces.add(face_id)
        faces |= {one for it in self.decisions for one in it.face_ids if digests.face(one) in known.faces}
        decisions = {it.decision_id for it in self.decisions if digests.decision(it.decision_id) in known.decisions}
        return self._plan("again", now, faces, scan_ids=sorted(whole), decision_ids=decisions)

    def _plan(
        self,
        what: str,
        now: datetime,
        face_ids: Collection[str],
        *,
        scan_ids: Sequence[str] = (),
        label_ids: Collection[str] = (),
        decision_ids: Collection[str] = (),
    ) -> Plan:
        faces = self._with_copies(face_ids)
        about = {
            decision.decision_id
            for decision in self.decisions
            if faces.intersection(decision.face_ids) or set(label_ids).intersection(decision.label_ids)
        } | set(decision_ids)
        undos = {one.decision_id: one.undone_decision_id for one in self.decisions if isinstance(one, DecisionUndone)}
        while more := {undo for undo, undone in undos.items() if undone in about} - about:
            about |= more
        named = [one for one in self.decisions if isinstance(one, FaceNamed | PersonRenamed)]
        names = {one.name for one in named if one.label_id in label_ids}
        texts = {(one, "scan id") for one in scan_ids} | {(one, "label id") for one in label_ids}
        texts |= {(one, "name") for one in names}
        stays = "\n".join(self._own_words(scan_ids))
        concerned = {*scan_ids, *(self._held.scan_of[one] for one in faces if one in self._held.scan_of)}
        return Plan(
            erasure_id=uuid4().hex,
            begun_at=now,
            what=what,
            scan_ids=tuple(scan_ids),
            faces=tuple(self._held.erased(face_id) for face_id in sorted(faces)),
            pictures={
                one: (self._held.scans[one].sha256, self._held.scans[one].page)
                for one in sorted(concerned)
                if one in self._held.scans
            },
            decision_ids=tuple(sorted(about)),
            label_ids=tuple(sorted(label_ids)),
            names=tuple(sorted(names)),
            texts=tuple(sorted((text, kind) for text, kind in texts if text not in stays)),
        )

    def _with_copies(self, face_ids: Collection[str]) -> set[str]:
        """These faces, and those with the very same embedding: they are on copies of the same picture."""
        wanted = {embedding for face_id in face_ids for embedding in self._held.embeddings.get(face_id, ())}
        copies = (face_id for face_id, has in self._held.embeddings.items() if not wanted.isdisjoint(has))
        return {*face_ids, *copies}

    def _own_words(self, but: Collection[str]) -> Iterator[str]:
        """What the archive itself says of its scans, but for these: ids, addresses, collections, metadata."""
        for scan in (one for scan_id, one in self._held.scans.items() if scan_id not in but):
            yield from (scan.scan_id, scan.uri, scan.collection, *scan.metadata, *scan.metadata.values())


class _Known:
    """Erasures, to see what of them is there again."""

    def __init__(self, records: Iterable[FacesErased], digests: Digests) -> None:
        self._digests = digests
        self._scans: defaultdict[str, list[ErasedScan]] = defaultdict(list)
        self.faces: set[str] = set()
        self.decisions: set[str] = set()
        for record in records:
            self.faces.update(record.faces)
            self.decisions.update(record.decisions)
            for one in record.scans:
                for digest in filter(None, (one.scan, one.picture)):
                    self._scans[digest].append(one)

    def is_whole(self, scan_id: str) -> bool:
        return any(one.whole for one in self._scans.get(self._digests.scan(scan_id), ()))

    def has(self, face_id: str, scan_id: str, scan: ScanPublished | None, box: Box) -> bool:
        if self._digests.face(face_id) in self.faces:
            return True
        own = [self._digests.scan(scan_id), *([self._digests.picture(scan.sha256, scan.page)] if scan else [])]
        places = {place for digest in own for one in self._scans.get(digest, ()) for place in one.places}
        return any(self._digests.place(digest, box) in places for digest in own)
