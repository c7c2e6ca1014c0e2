"""An event of each type with plausible values, for the contract (`schemas.contract`)."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from schemas.base import EMBEDDING_DIMENSIONS, Event
from schemas.clusters import Change, ClusterChanged, FaceAssigned, Role, Suggestion
from schemas.codec import encode
from schemas.dead_letters import DeadLetter
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    NotSure,
    PeopleMerged,
    PersonRemoved,
    PersonRenamed,
)
from schemas.erasures import ErasedScan, ErasureState, FacesErased
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.generations import GenerationDefined, GenerationParameters, GenerationPromoted, State
from schemas.neighbours import FaceNeighbours, NeighboursFound
from schemas.references import ReferenceDrawn
from schemas.scans import Box, KeptFace, ScanPublished
from schemas.topics import topic_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_FACE, _OLDER, _OTHER = "5d41402abc4b2a76", "2c6fabf3b9719d91", "7d793037a0760186"
_BOX = Box(left=0.25, top=0.125, right=0.375, bottom=0.25)
_QUALITY = Quality(size_px=212.0, sharpness=118.5)


def _vector(first: float, faces: int = 1) -> bytes:
    numbers = [first] + [0.0625] * (EMBEDDING_DIMENSIONS - 1)
    return struct.pack(f"<{faces * EMBEDDING_DIMENSIONS}f", *(numbers * faces))


def _decided(kind: type[Decision], **what: object) -> Decision:
    made = {"decision_id": "f8b405e3a51c4e0f", "author": "Mari", "decided_at": NOON}
    return kind.model_validate(made | what)


_PERSON = {"label_id": "eileen-collins"}

_ALL: tuple[Event, ...] = (
    ScanPublished(
        scan_id="album/page 3.tif#2",
        uri="file:///scans/album/page 3.tif",
        sha256=_SHA256,
        media_type="image/tiff",
        collection="album",
        published_at=NOON,
        page=2,
        metadata={"title": "Summer 1931"},
        keep=(KeptFace(face_id=_FACE, box=_BOX, sha256=_SHA256, page=2, embedding=_vector(0.125), embedder="dlib"),),
    ),
    ScanAnalysed(
        scan_id="album/page 3.tif#2",
        sha256=_SHA256,
        published_at=NOON,
        width=4_000,
        height=3_000,
        provenance=Provenance(
            engine="onnx",
            detector=_SHA256,
            landmarks=_SHA256,
            embedder=_SHA256,
            upsample=1,
            max_size=2_000,
            turns="fallback",
        ),
        faces=(
            Face(
                face_id=_FACE,
                box=_BOX,
                landmarks=((0.28, 0.16), (0.3, 0.16), (0.33, 0.16), (0.35, 0.16), (0.31, 0.21)),
                score=1.75,
                quality=_QUALITY,
                embedding=_vector(0.125),
            ),
        ),
    ),
    ReferenceDrawn(
        name="3b6f0c1d",
        drawn_at=NOON,
        banks=(_vector(0.125, 6), _vector(-0.125, 6)),
        level=0.69,
        largest_offset=0.72,
        slope=1.0,
        sampled=20_000,
        archive_faces=100_000,
    ),
    NeighboursFound(
        scan_id="album/page 3.tif#2",
        analysis=41,
        shard=0,
        shards=1,
        eps_max=0.6,
        published_at=NOON,
        faces=(
            FaceNeighbours(
                face_id=_FACE,
                score=1.75,
                quality=_QUALITY,
                neighbours=(_OLDER, _OTHER),
                analyses=(7, 23),
                distances=(0.3125, 0.375),
            ),
        ),
        reference="builtin",
    ),
    _decided(FaceNamed, face_id=_FACE, name="Eileen Collins", authority="https://viaf.org/viaf/52556132", **_PERSON),
    _decided(NameTakenBack, face_id=_FACE, note="that was her sister"),
    _decided(NameRejected, face_id=_FACE, **_PERSON),
    _decided(NotSure, face_id=_FACE, until=NOON + timedelta(days=30), **_PERSON),
    _decided(NotAFace, face_id=_FACE, note="a statue"),
    _decided(FacesLinked, face_id=_FACE, other_face_id=_OTHER),
    _decided(FacesSeparated, face_id=_FACE, other_face_id=_OTHER),
    _decided(PersonRenamed, name="Eileen Marie Collins", **_PERSON),
    _decided(PersonRemoved, **_PERSON),
    _decided(PeopleMerged, other_label_id="e-collins", **_PERSON),
    _decided(DecisionUndone, undone_decision_id="2c6fabf3b97143e8"),
    FaceAssigned(
        face_id=_FACE,
        scan_id="album/page 3.tif#2",
        analysis=41,
        cluster_id=_OLDER,
        role=Role.CORE,
        soft_label=Suggestion(label_id="eileen-collins", probability=0.875),
        distribution=(Suggestion(label_id="eileen-collins", probability=0.875),),
    ),
    ClusterChanged(cluster_id=_FACE, change=Change.MERGED, size=12, successor=_OLDER),
    FacesErased(
        erasure_id="7f1e6f0c2d3b4a59",
        erased_at=NOON,
        state=ErasureState.SETTLED,
        key_id="0f" * 16,
        scans=(ErasedScan(scan="1a" * 16, picture="2b" * 16, places=("3c" * 16,)),),
        faces=("4d" * 16,),
        decisions=("5e" * 16,),
    ),
    GenerationDefined(
        name="green",
        parameters=GenerationParameters(
            distance="calibrated",
            reference="builtin",
            eps=0.4,
            eps_max=0.46,
            min_samples=2,
            shared_weight=0.14,
            most_neighbours=64,
        ),
        state=State.BUILT,
        changed_at=NOON,
        neighbours="neighbours",
        assignments="assignments-green",
        clusters="clusters-green",
    ),
    GenerationPromoted(
        generation="green",
        former="blue",
        assignments="assignments-green",
        clusters="clusters-green",
        promoted_at=NOON,
        author="mari",
    ),
)

EXAMPLES: dict[type[Event], Event] = {type(event): event for event in _ALL}
"""By type of event."""

LETTER = DeadLetter(
    original=encode(_ALL[0], event_id="1c4d9e7a", time=NOON),
    topic=topic_of(_ALL[0]).name,
    partition=3,
    offset=17,
    consumer="detect",
    reason="the image is damaged: not a TIFF file",
    time=NOON,
)
"""A dead letter of the scan."""
