"""What an erasure is about.

A plan names all that goes. It is made once (producers/erasure_archive.py), before anything is erased, and kept until
the erasure is proven: what was erased cannot be looked up any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from erasure.digests import Digests
from erasure.search import Finder, embedding_traces, text_traces
from schemas.base import Float32Vector
from schemas.erasures import ErasedScan, ErasureState, FacesErased
from schemas.scans import Box


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErasedFace(_Stored):
    """A face that goes: where it is, and all embeddings that were made of it."""

    face_id: str
    scan_id: str
    box: Box | None = None
    embeddings: tuple[Float32Vector, ...] = ()


class Plan(_Stored):
    """What one erasure takes out.

    what: scan, face, person, or again. scan_ids: scans that go as a whole. pictures: of each scan that is concerned,
    the checksum and page of its picture. label_ids, names: of the person. texts: of the ids of scans, the label ids and
    the names, with their kinds, those that are in nothing that the archive itself says of the scans that stay.
    """

    erasure_id: str
    begun_at: datetime
    what: str
    scan_ids: tuple[str, ...] = ()
    faces: tuple[ErasedFace, ...] = ()
    pictures: Mapping[str, tuple[str, int | None]] = {}
    decision_ids: tuple[str, ...] = ()
    label_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    @property
    def face_ids(self) -> frozenset[str]:
        """The ids of the faces."""
        return frozenset(face.face_id for face in self.faces)

    @property
    def embeddings(self) -> frozenset[bytes]:
        """All embeddings of the faces."""
        return frozenset(embedding for face in self.faces for embedding in face.embeddings)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to erase."""
        return not (self.scan_ids or self.faces or self.decision_ids)

    def and_again(self, again: Plan) -> Plan:
        """This plan, and with it what a restored backup has brought back: one erasure of both."""
        faces = {face.face_id: face for face in (*again.faces, *self.faces)}
        return self.model_copy(
            update={
                "what": again.what,
                "scan_ids": tuple(dict.fromkeys((*self.scan_ids, *again.scan_ids))),
                "faces": tuple(faces.values()),
                "pictures": {**again.pictures, **self.pictures},
                "decision_ids": tuple(dict.fromkeys((*self.decision_ids, *again.decision_ids))),
                "texts": tuple(dict.fromkeys((*self.texts, *again.texts))),
            }
        )

    @property
    def own_texts(self) -> Iterator[tuple[str, str]]:
        """What shows that a record is about what is erased, besides embeddings and the ids of faces and decisions.

        With their kinds, and as JSON has it: with its quotes it is no part of another text.
        """
        yield from ((f'"{scan_id}"', "scan id") for scan_id in self.scan_ids)
        yield from ((f'"{label_id}"', "label id") for label_id in self.label_ids)
        yield from ((f'"{name}"', "name") for name in self.names)


def finder_of(plan: Plan, texts: Iterable[tuple[str, str]] = ()) -> Finder:
    """A finder of the plan's embeddings, ids and own texts, and of further texts with their kinds."""
    traces = [trace for embedding in plan.embeddings for trace in embedding_traces(embedding)]
    for kind, ids in (("face id", plan.face_ids), ("decision id", plan.decision_ids)):
        traces += [trace for one in ids for trace in text_traces(one, kind)]
    traces += [trace for text, kind in (*plan.own_texts, *texts) for trace in text_traces(text, kind)]
    return Finder(traces)


def record_of(plan: Plan, digests: Digests, state: ErasureState) -> FacesErased:
    """The record of an erasure, which holds no personal data."""
    by_scan: defaultdict[str, list[Box]] = defaultdict(list)
    for face in plan.faces:
        if face.box is not None and face.scan_id:
            by_scan[face.scan_id].append(face.box)
    scans = []
    for scan_id in sorted({*by_scan, *plan.scan_ids}):
        scan = digests.scan(scan_id)
        picture = digests.picture(*plan.pictures[scan_id]) if scan_id in plan.pictures else None
        own = [scan, *([picture] if picture else [])]
        places = tuple(digests.place(digest, box) for box in by_scan[scan_id] for digest in own)
        scans.append(ErasedScan(scan=scan, picture=picture, whole=scan_id in plan.scan_ids, places=places))
    return FacesErased(
        erasure_id=plan.erasure_id,
        erased_at=plan.begun_at,
        state=state,
        key_id=digests.key_id,
        scans=tuple(sorted(scans, key=lambda one: one.scan)),
        faces=tuple(sorted(map(digests.face, plan.face_ids))),
        decisions=tuple(sorted(map(digests.decision, plan.decision_ids))),
    )
