"""Records, uris and pictures that somebody may put where Facestream reads, with the outcome that each must have."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from schemas import examples
from schemas.base import Event
from schemas.clusters import Change
from schemas.codec import encode
from schemas.dead_letters import DeadLetter, encode_dead_letter
from schemas.decisions import (
    Decision,
    DecisionUndone,
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
from schemas.erasures import FacesErased
from schemas.generations import GenerationDefined, GenerationPromoted
from schemas.references import ReferenceDrawn
from schemas.scans import ScanPublished
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    FACES,
    LABELS,
    NEIGHBOURS,
    SCANS,
    NotUtf8,
    Record,
    Tombstone,
    Topic,
    topic_of,
)
from tests.builders import mutations
from tests.builders.catalogue import analysed, changed, face, published, suggested
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision, named
from tests.builders.neighbours import record as neighbours

USED = "used"
"""The outcome of what is unusual, and is used all the same; any other outcome is a part of a dead letter's reason."""
SKIPPED = "skipped"
"""A record of a topic that no stage reads as its input: a line in a log, without a dead letter."""
EITHER = "either"
"""A damaged picture: read, or refused."""


@dataclass(frozen=True)
class Hostile:
    """A record of a topic. compression: that of its batch."""

    name: str
    topic: Topic
    record: Record
    outcome: str
    compression: str | None = None


NAN = float("nan")
INFINITY = float("inf")

_VECTOR = np.zeros(128, "<f4")


def _vector(value: float, dimensions: int = 128) -> str:
    return base64.b64encode(np.full(dimensions, value, "<f4").tobytes()).decode()


SCAN = published("hostile", "file:///nowhere/hostile.jpg", metadata={"year": "1918"})
ANALYSIS = analysed("hostile-analysis", face("hostile-face"), face("hostile-face-2"))
FOUND = neighbours("hostile-found", 5, {"hostile-found-face": [("x", 1, 0.3)]}, shards=1)
NAMED = named(7, "hostile-face", "anna")
LINKED = a_decision(FacesLinked, 8, face_id="hostile-face", other_face_id="other")
ASSIGNED = suggested("hostile-assigned", "hostile", "c", ("anna", 0.5))
CHANGED = changed("hostile-cluster", Change.CREATED)

_OWN = (SCAN, ANALYSIS, FOUND, NAMED, LINKED, ASSIGNED, CHANGED)
_OTHER: dict[type[Event], Event] = {
    kind: event.model_copy(update={"decision_id": f"hostile-{number}"}) if isinstance(event, Decision) else event
    for number, (kind, event) in enumerate(examples.EXAMPLES.items())
    if kind not in {type(own) for own in _OWN}
}
EXAMPLES: tuple[Event, ...] = (*_OWN, *_OTHER.values())
"""An event of every type."""
DECISIONS: tuple[Event, ...] = tuple(event for event in EXAMPLES if isinstance(event, Decision))
GENERATION, PROMOTION = _OTHER[GenerationDefined], _OTHER[GenerationPromoted]
_REFERENCE, _ERASED = _OTHER[ReferenceDrawn], _OTHER[FacesErased]

Path_ = Sequence[str | int]

# Of an event, a place in its JSON and values that nothing may have there.
_WRONG: Sequence[tuple[Event, Path_, Sequence[Any]]] = (
    (SCAN, ["scan_id"], [None, "", 7, "x" * 2000, "ö" * 700]),
    (SCAN, ["uri"], [None, "", [], "x" * 200_000]),
    (SCAN, ["sha256"], ["", "0" * 63, "Z" * 64, None]),
    (SCAN, ["media_type"], [None, 5, "x" * 2000]),
    (SCAN, ["collection"], [{}, "x" * 2000]),
    (
        SCAN,
        ["published_at"],
        [
            *(None, "", "yesterday", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
            *("2026-01-01T00:00:00", "2026-13-45T00:00:00Z", -1e300, 10**400),
        ],
    ),
    (SCAN, ["page"], [0, -1, 2**31, 2**63, "one", 1.5, NAN]),
    (SCAN, ["metadata"], [[], {"a": 1}, {"a": None}, {"x" * 2000: "a"}, {str(n): 1 for n in range(50_000)}]),
    (SCAN, ["keep"], [{}, [1], [[[]]], [None] * 200_000]),
    (ANALYSIS, ["scan_id"], [None, ""]),
    (ANALYSIS, ["sha256"], ["", 5]),
    (ANALYSIS, ["width"], [0, -1, 2**31, 1e308, NAN]),
    (ANALYSIS, ["provenance", "threshold"], [NAN, INFINITY, 1e308]),
    (ANALYSIS, ["provenance", "upsample"], [-1, 2**70]),
    (ANALYSIS, ["faces", 0, "face_id"], ["", None, "hostile-face-2", "x" * 2000]),
    (ANALYSIS, ["faces", 0, "box"], [{}, [], {"left": -5, "top": 0, "right": 7, "bottom": 1}]),
    (ANALYSIS, ["faces", 0, "box", "left"], [0.9, -1e308, NAN, "left", -1.5]),
    (ANALYSIS, ["faces", 0, "box", "bottom"], [7, 0.1, INFINITY]),
    (ANALYSIS, ["faces", 0, "landmarks"], [[[0.5, 0.5]] * 100_000, [[1]], [[1e9, 0]], [[NAN, 0]], "none"]),
    (ANALYSIS, ["faces", 0, "score"], [NAN, 1e308, None]),
    (ANALYSIS, ["faces", 0, "quality", "size_px"], [-1, 1e300]),
    (
        ANALYSIS,
        ["faces", 0, "embedding"],
        ["", "AAAA", "A*==", "ä", None, _vector(0, 127), _vector(NAN), _vector(INFINITY), _vector(3e38), [0.1] * 128],
    ),
    (ANALYSIS, ["faces", 0, "turn"], [45, -90, None]),
    (ANALYSIS, ["faces"], [None, {}, [1] * 20_000]),
    (FOUND, ["analysis"], [-1, 2**63, 2**64, NAN]),
    (FOUND, ["shard"], [256, -1, 1]),
    (FOUND, ["shards"], [0, 257]),
    (FOUND, ["eps_max"], [NAN, -1, 1e308]),
    (FOUND, ["faces", 0, "neighbours"], [[], [""], [None], ["a", "b"]]),
    (FOUND, ["faces", 0, "analyses"], [[2**63], [-1], [0.5]]),
    (FOUND, ["faces", 0, "distances"], [[NAN], [-0.1], [1e308], ["near"]]),
    (NAMED, ["author"], ["", None]),
    (NAMED, ["decided_at"], ["0001-01-01T00:00:00Z", "now"]),
    (NAMED, ["face_id"], ["", None]),
    (NAMED, ["name"], ["", 5]),
    (LINKED, ["other_face_id"], ["hostile-face", ""]),
    (ASSIGNED, ["analysis"], [-1, 2**63]),
    (ASSIGNED, ["role"], ["", "king"]),
    (ASSIGNED, ["distribution", 0, "probability"], [1.1, -0.1, NAN]),
    (CHANGED, ["size"], [-1, 2**63, NAN]),
    (CHANGED, ["change"], ["gone"]),
    (_OTHER[NameTakenBack], ["face_id"], [None, ""]),
    (_OTHER[NameRejected], ["label_id"], [None, "", 5]),
    (_OTHER[NotSure], ["until"], [None, "later", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"]),
    (_OTHER[NotAFace], ["note"], [5, [], "x" * 1_000_001]),
    (_OTHER[FacesSeparated], ["other_face_id"], ["5d41402abc4b2a76", "", None]),
    (_OTHER[PersonRenamed], ["name"], ["", None, 5]),
    (_OTHER[PersonRenamed], ["authority"], [5, {}]),
    (_OTHER[PersonRemoved], ["label_id"], ["", {}]),
    (_OTHER[PeopleMerged], ["other_label_id"], ["eileen-collins", ""]),
    (_OTHER[DecisionUndone], ["undone_decision_id"], ["", None]),
    (GENERATION, ["name"], ["", "Green", "gr een", "g" * 41, "../green", None]),
    (GENERATION, ["parameters"], [None, {}, []]),
    (GENERATION, ["parameters", "distance"], ["near", None]),
    (GENERATION, ["parameters", "eps"], [-1, NAN, 1e308]),
    (GENERATION, ["parameters", "min_samples"], [0, 2**31, 1.5]),
    (GENERATION, ["state"], ["lost", None]),
    (GENERATION, ["changed_at"], ["now", "0001-01-01T00:00:00Z"]),
    (GENERATION, ["neighbours"], [None, "x" * 2000]),
    (GENERATION, ["since"], [-1, 2**63]),
    (PROMOTION, ["generation"], ["", "Green", None]),
    (PROMOTION, ["promoted_at"], ["now"]),
    (PROMOTION, ["author"], [None, "x" * 2000]),
    (_REFERENCE, ["name"], [None, ""]),
    (_REFERENCE, ["banks"], [[], [""], ["AAAA"], [_vector(NAN, 6 * 128)], None]),
    (_REFERENCE, ["slope"], [0, -1, NAN]),
    (_REFERENCE, ["dimension"], [1, 2**31, 127]),
    (_ERASED, ["erasure_id"], [None, "", "x" * 2000]),
    (_ERASED, ["state"], ["lost"]),
    (_ERASED, ["key_id"], ["", "0F" * 16, None]),
    (_ERASED, ["faces"], [["face"], [None] * 200_000]),
    (_ERASED, ["scans", 0, "places"], [[""], {}]),
)


def wrong_values() -> Iterator[Hostile]:
    """An event of each kind with a value in it that nothing may have."""
    for event, path, values in _WRONG:
        for number, value in enumerate(values):
            record = with_value(event, path, value)
            place = ".".join(map(str, path))
            shown = repr(value) if len(repr(value)) < 30 else f"{repr(value)[:20]}… ({number})"
            outcome = SKIPPED if event in (_REFERENCE, _ERASED) else f"not a {event.type}: "
            yield Hostile(f"{event.type}: {place} is {shown}", topic_of(event), record, outcome)


def with_value(event: Event, path: Path_, value: Any) -> Record:  # noqa: ANN401 - JSON
    """The record of an event with another value at a place; its key stays the event's."""
    record = encode(event, event_id="1", time=NOON)
    changed_value = json.loads(record.value or b"")
    place = changed_value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return Record(record.key, json.dumps(changed_value).encode(), record.headers)


def _scan_record(**changes: object) -> Record:
    record = encode(SCAN, event_id="1", time=NOON)
    values: dict[str, Any] = {"key": record.key, "value": record.value, "headers": record.headers} | changes
    return Record(values["key"], values["value"], tuple(values["headers"]))


def _with_headers(*changes: tuple[str, bytes | None], without: str = "") -> Record:
    own = [(name, value) for name, value in encode(SCAN, event_id="1", time=NOON).headers if name != without]
    return _scan_record(headers=[*own, *changes])


def envelopes() -> Iterator[Hostile]:
    """Records whose key, headers or value are no event at all."""
    kind = SCAN.type.encode()
    foreign = [("ce_type", b"\xff")]
    for name, record, outcome in (
        ("no headers", _scan_record(headers=()), "the header ce_specversion is missing"),
        ("no ce_type", _with_headers(without="ce_type"), "the header ce_type is missing"),
        ("ce_type twice", _with_headers(("ce_type", kind)), "ce_type occurs 2 times"),
        ("ce_type without a value", _with_headers(("ce_type", None), without="ce_type"), "ce_type has no value"),
        ("ce_type not UTF-8", _with_headers(("ce_type", b"\xff"), without="ce_type"), "ce_type is not UTF-8"),
        ("ce_type of another topic", _with_headers(("ce_type", b"facestream.scan.analysed.v1"), without="ce_type"),
         "carries no events of type"),
        ("ce_type of another system", _with_headers(("ce_type", b"com.example.v1"), without="ce_type"), "carries no"),
        ("ce_type version 0", _with_headers(("ce_type", b"facestream.scan.published.v0"), without="ce_type"),
         "carries no"),
        ("ce_type of a megabyte", _with_headers(("ce_type", b"x" * 1_000_000), without="ce_type"), "carries no"),
        ("ce_specversion 0.3", _with_headers(("ce_specversion", b"0.3"), without="ce_specversion"), "is not 1.0"),
        ("ce_specversion without a value", _with_headers(("ce_specversion", None), without="ce_specversion"),
         "has no value"),
        ("a header without a value, garbage", _scan_record(value=b"{", headers=[("x", None)]), "is missing"),
        ("a header without a value, an event", _with_headers(("x", None)), "nothing is at"),
        ("a dead_letter_ header not UTF-8", _scan_record(headers=[("dead_letter_reason", b"\xff\xfe")]), "is missing"),
        ("all dead_letter_ headers", _scan_record(headers=[("dead_letter_topic", b"x"), ("dead_letter_time", None)]),
         "is missing"),
        ("a header name not UTF-8", _with_headers((NotUtf8(b"\xff"), b"1")), "the name of a header is not UTF-8"),
        ("a header without a name", _with_headers(("", b"1")), "nothing is at"),
        ("10,000 headers", _with_headers(*[(f"h{number}", b"1") for number in range(10_000)]), "nothing is at"),
        ("an empty key", _scan_record(key=b""), "the key is empty"),
        ("a key not UTF-8", _scan_record(key=b"\xff\xfe"), "the key is not UTF-8"),
        ("a key of zeros", _scan_record(key=b"\x00"), "is not the event's own"),
        ("another key", _scan_record(key=b"another"), "is not the event's own"),
        ("a key of a megabyte", _scan_record(key=b"k" * 1_000_000), "the key has more than"),
        ("a tombstone of an unknown scan", _scan_record(key=b"unknown", value=None, headers=()), USED),
        ("a tombstone with garbage for headers", _scan_record(key=b"unknown", value=None, headers=foreign),
         USED),
        ("no value at all", _scan_record(value=b""), "Invalid JSON"),
        ("null", _scan_record(value=b"null"), "not a facestream"),
        ("true", _scan_record(value=b"true"), "not a facestream"),
        ("a list", _scan_record(value=b"[]"), "not a facestream"),
        ("an empty object", _scan_record(value=b"{}"), "not a facestream"),
        ("half an object", _scan_record(value=(_scan_record().value or b"")[:50]), "Invalid JSON"),
        ("XML", _scan_record(value=b"<scan/>"), "Invalid JSON"),
        ("zeros", _scan_record(value=bytes(1000)), "Invalid JSON"),
        ("noise", _scan_record(value=np.random.default_rng(1).bytes(100_000)), "Invalid JSON"),
        ("UTF-16", _scan_record(value=(_scan_record().value or b"").decode().encode("utf-16")), "Invalid JSON"),
        ("a byte order mark", _scan_record(value=b"\xef\xbb\xbf" + (_scan_record().value or b"")), "Invalid JSON"),
        ("depth of 100,000", _scan_record(value=b"[" * 100_000), "Invalid JSON"),
        ("depth of 100,000 in a field", _scan_record(value=b'{"x":' * 100_000 + b"1" + b"}" * 100_000), "Invalid JSON"),
        ("a number of 5,000 digits", _scan_record(value=b'{"page":' + b"9" * 5_000 + b"}"), "Invalid JSON"),
        ("half a character", _scan_record(value=b'{"scan_id":"\\ud800"}'), "Invalid JSON"),
        ("a text not UTF-8", _scan_record(value=b'{"scan_id":"\xff"}'), "Invalid JSON"),
        ("NaN in an unknown field", _scan_record(value=(_scan_record().value or b"")[:-1] + b',"x":NaN}'), "NaN"),
        ("NaN in a text", with_value(SCAN, ["metadata"], {"NaN": "Infinity"}), "nothing is at"),
        ("a field twice", _scan_record(value=b'{"uri":5,' + (_scan_record().value or b"")[1:]), "nothing is at"),
        ("NUL in a text", with_value(SCAN, ["metadata"], {"a\x00": "\x00"}), "nothing is at"),
    ):  # fmt: skip
        yield Hostile(name, SCANS, record, outcome)
    zeros = _scan_record(key=b"zeros", value=bytes(60_000_000))
    yield Hostile("60 MB of zeros, compressed", SCANS, zeros, "Invalid JSON", "gzip")
    metadata = {str(number): "x" * 900_000 for number in range(11)}
    yield Hostile("10 MB of metadata", SCANS, with_value(SCAN, ["metadata"], metadata), "nothing is at")


def others() -> Iterator[Hostile]:
    """Records of the topics between the stages that are events, and cannot be used."""

    def hostile(name: str, message: Event | Tombstone, outcome: str) -> Hostile:
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        return Hostile(name, topic, encode(message, event_id="1", time=NOON), outcome)

    yield hostile("a face of a foreign scan", analysed("claimed", face("a-face-of-two")), USED)
    yield hostile(
        "a face that another scan has", analysed("claiming", face("a-face-of-two")), "belongs to another scan"
    )
    yield hostile("neighbours that reach less far than eps", FOUND.model_copy(update={"eps_max": 0.01}), "but eps is")
    yield hostile("neighbours of nobody", FOUND, USED)
    yield hostile("a tombstone of neighbours of shard 256", Tombstone(NEIGHBOURS, "256/x"), "not a key")
    yield hostile("a tombstone of neighbours without a shard", Tombstone(NEIGHBOURS, "x"), "not a key")
    yield hostile("a tombstone of an unknown decision", Tombstone(LABELS, "x"), USED)
    yield hostile("a tombstone of an unknown analysis", Tombstone(FACES, "x"), USED)
    yield hostile("a tombstone of an unknown assignment", Tombstone(ASSIGNMENTS, "x"), USED)
    yield hostile("a tombstone where nothing is compacted", Tombstone(CLUSTERS, "x"), "is not compacted")
    yield hostile("a name with NUL", NAMED.model_copy(update={"name": "a\x00b"}), USED)
    yield Hostile("no key where nothing is compacted", CLUSTERS, Record(None, b"{}"), "the key is missing")
    nothing = Record(None, None)
    yield Hostile("neither key nor value where nothing is compacted", CLUSTERS, nothing, "the key is missing")
    yield Hostile("neither key nor value in dead-letters", DEAD_LETTERS, nothing, "not a dead letter")
    yield Hostile("garbage in dead-letters", DEAD_LETTERS, Record(None, b"\xff"), "not a dead letter")
    forged = DeadLetter(Record(b"k", b"v"), "scans", 2**31 - 1, 2**63 - 1, "nobody", "\x00", NOON)
    yield Hostile("a forged dead letter", DEAD_LETTERS, encode_dead_letter(forged, 1_000), USED)
    too_long = "ö" * 1_000
    yield hostile(
        "an id that no index of PostgreSQL holds", ASSIGNED.model_copy(update={"face_id": too_long}), "an id of"
    )


_URIS = (
    ("file:///nowhere/at/all.jpg", "nothing is at"),
    ("file:///etc", "only files are read"),
    ("file:///dev/zero", "only files are read"),
    ("file:///dev/stdin", ""),
    ("file:///proc/self/mem", ""),
    ("file:///proc/kmsg", ""),
    ("file://server/share/1.jpg", ""),
    ("file:relative.jpg", ""),
    ("file:///%00", ""),
    ("file:///" + "../" * 50 + "etc/passwd", ""),
    ("file:///" + "a/" * 3_000 + "1.jpg", ""),
    ("file:///" + "x" * 300 + ".jpg", ""),
    ("file:///" + "x" * 50_000, "characters, at most"),
    ("/etc/passwd", ""),
    ("C:\\scans\\1.jpg", ""),
    ("\\\\server\\share\\1.jpg", ""),
    ("http://127.0.0.1:1/1.jpg", "private"),
    ("http://localhost/1.jpg", "private"),
    ("http://169.254.169.254/latest/meta-data/", "private"),
    ("http://[::1]/1.jpg", "private"),
    ("http://[::1", ""),
    ("http://0/1.jpg", "private"),
    ("http://host:99999/1.jpg", ""),
    ("http://", ""),
    ("http:///1.jpg", ""),
    ("http://ex ample/1.jpg", ""),
    ("ftp://example.org/1.jpg", ""),
    ("gopher://example.org/1.jpg", ""),
    ("javascript:alert(1)", ""),
    ("data:image/png;base64,AAAA", ""),
    ("zip://1.jpg::file:///album.zip", ""),
    ("s3://", ""),
    ("://", ""),
    (" ", ""),
    ("\u202egpj.1", ""),
    ("file:///\ud7ff\U0010ffff.jpg", ""),
    ("file:///a\nb\x1b[31m.jpg", ""),
)


def uris() -> Iterator[Hostile]:
    """Scans at places that are none, or that nobody may read. None may be fetched, or waited for."""
    for number, (uri, outcome) in enumerate(_URIS):
        scan = SCAN.model_copy(update={"scan_id": f"hostile-uri-{number}", "uri": uri})
        yield Hostile(f"uri {uri[:40]!r}", SCANS, encode(scan, event_id="1", time=NOON), outcome)


def pictures(folder: Path) -> Iterator[Hostile]:
    """Files that are no pictures, or damaged ones, written into this folder."""
    for name, data, outcome in _files():
        path = folder / name
        path.write_bytes(data)
        content = b"another one" if name == "replaced.png" else data
        scan = ScanPublished(
            scan_id=f"hostile-picture-{name}",
            uri=path.as_uri(),
            sha256=hashlib.sha256(content).hexdigest(),
            media_type="image/jpeg",
            collection="hostile",
            published_at=NOON,
        )
        yield Hostile(f"picture {name}", SCANS, encode(scan, event_id="1", time=NOON), outcome)


def _files() -> Iterator[tuple[str, bytes, str]]:
    yield "empty.jpg", b"", "the file is empty"
    yield "text.jpg", b"a list of the photographs", "not an image"
    yield "page.html", b"<html><img src=x></html>", "not an image"
    yield "drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><!ENTITY a "&a;&a;"></svg>', "not an image"
    yield "program", b"\x7fELF" + bytes(1000), "not an image"
    yield "zeros.tif", bytes(100_000), "not an image"
    yield "bomb.png", _png(60_000, 60_000), ""
    yield "wide.png", _png(2**31 - 1, 1), ""
    yield "nothing.png", _png(0, 0), ""
    yield "replaced.png", _encoded(100, 100), "has another sha256"
    yield "one-pixel.png", _encoded(1, 1), USED
    yield "thin.png", _encoded(4_000, 1), USED
    for number, (kind, data) in enumerate(sorted(mutations.pictures().items())):
        random = np.random.default_rng((11, number))
        yield f"damaged-{number}", mutations.mutated(data, random), EITHER
        if number < 12:
            yield f"cut-{number} {kind}".replace(" ", "-").replace(",", ""), data[: len(data) // 3], EITHER


def _encoded(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(buffer, "PNG")
    return buffer.getvalue()


def _png(width: int, height: int) -> bytes:
    """A PNG that says it has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def all_hostile(folder: Path) -> list[Hostile]:
    """All of them."""
    return [*envelopes(), *wrong_values(), *others(), *uris(), *pictures(folder)]
