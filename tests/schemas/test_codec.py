"""Events survive the way through Kafka's binary mode, and whatever is not an event is refused with its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import InvalidRecord, NewerRecord, decode, encode
from schemas.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import neighbours_key, parse_neighbours_key
from schemas.scans import Box, KeptFace, ScanPublished
from schemas.topics import FACES, SCANS, TOPICS, NotUtf8, Record, Tombstone, of_generation, topic_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MOST = 2**20
SCAN = ScanPublished(
    scan_id="album/ä 1.jpg",
    uri="file:///album/1.jpg",
    sha256="0" * 64,
    media_type="image/jpeg",
    collection="album",
    published_at=NOON,
)


def record(value: Any = None, **headers: str) -> Record:  # noqa: ANN401
    """SCAN's record, with another value or other headers where given."""
    encoded = encode(SCAN, event_id="1", time=NOON)
    changed = dict(encoded.headers) | {name: text.encode() for name, text in headers.items()}
    return Record(encoded.key, encoded.value if value is None else value, tuple(changed.items()))


def analysis(vector: np.ndarray) -> ScanAnalysed:
    face = Face(
        face_id="f",
        box=Box(left=0.1, top=0.2, right=0.3, bottom=0.4),
        landmarks=((0.1, 0.2),) * 5,
        score=1.0,
        quality=Quality(size_px=80, sharpness=12.5),
        embedding=vector.astype("<f4").tobytes(),
    )
    made_by = Provenance(engine="dlib", detector="a", landmarks="b", embedder="c", upsample=1, max_size=2000)
    return ScanAnalysed(
        scan_id="s", sha256="0" * 64, published_at=NOON, width=10, height=20, provenance=made_by, faces=(face,)
    )


def test_kept_faces_come_back_as_they_were_and_those_of_earlier_versions_are_read() -> None:
    keep = KeptFace(
        face_id="f",
        box=Box(left=0.1, top=0.2, right=0.3, bottom=0.4),
        sha256="1" * 64,
        page=2,
        embedding=np.arange(128, dtype="<f4").tobytes(),
        embedder="e",
        live=False,
    )
    scan = SCAN.model_copy(update={"keep": (keep,)})
    encoded = encode(scan, event_id="1", time=NOON)
    assert decode(SCANS, encoded) == scan
    assert encoded.value
    value = json.loads(encoded.value)
    value["keep"] = [{"face_id": "f", "box": value["keep"][0]["box"]}]
    read = decode(SCANS, record(json.dumps(value).encode()))
    assert isinstance(read, ScanPublished)
    assert read.keep == (KeptFace(face_id="f", box=keep.box),)
    assert (read.keep[0].embedding, read.keep[0].live) == (None, True)


def test_an_event_comes_back_as_it_was() -> None:
    assert decode(SCANS, encode(SCAN, event_id="1", time=NOON)) == SCAN


@settings(deadline=None)
@given(st.lists(st.floats(-1000, 1000, width=32), min_size=128, max_size=128))
def test_an_embedding_comes_back_to_the_bit(values: list[float]) -> None:
    vector = np.array(values, dtype=np.float32)
    back = decode(FACES, encode(analysis(vector), event_id="1", time=NOON))
    assert isinstance(back, ScanAnalysed)
    assert back.faces[0].vector.tobytes() == vector.tobytes()


def test_an_embedding_is_plain_base64_of_little_endian_floats_to_other_languages() -> None:
    encoded = encode(analysis(np.full(128, 1.0)), event_id="1", time=NOON)
    assert encoded.value is not None
    text = json.loads(encoded.value)["faces"][0]["embedding"]
    assert text.startswith("AACAPwAAgD8")


def test_another_cloudevents_library_reads_our_records() -> None:
    encoded = encode(SCAN, event_id="42", time=NOON)
    event = from_binary(
        KafkaMessage({name: value or b"" for name, value in encoded.headers}, encoded.key, encoded.value or b""),
        JSONFormat(),
        CloudEvent,
    )
    assert (event.get_id(), event.get_type(), event.get_time()) == ("42", ScanPublished.type, NOON)
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["scan_id"] == SCAN.scan_id


def test_a_tombstone_has_no_value_and_comes_back_as_one() -> None:
    encoded = encode(Tombstone(SCANS, "s"), event_id="1", time=NOON)
    assert encoded.value is None
    assert decode(SCANS, encoded) == Tombstone(SCANS, "s")


def test_a_tombstone_of_a_client_that_knows_no_cloudevents_is_one_too() -> None:
    assert decode(SCANS, Record(b"s", None)) == Tombstone(SCANS, "s")


def test_a_tombstone_of_a_generation_is_of_the_type_that_the_contract_has() -> None:
    topic = of_generation(FACES, "green")
    encoded = encode(Tombstone(topic, "s"), event_id="1", time=NOON)
    assert dict(encoded.headers)["ce_type"] == b"facestream.faces.tombstone.v1"
    assert decode(topic, encoded) == Tombstone(topic, "s")
    # An erasure of an earlier version wrote the topic's own name.
    assert decode(topic, Record(b"s", None, (("ce_type", b"facestream.faces-green.tombstone.v1"),)))
    with pytest.raises(NewerRecord):
        decode(topic, Record(b"s", None, (("ce_type", b"facestream.faces.tombstone.v2"),)))


def test_a_field_of_a_newer_writer_is_left_out() -> None:
    value = json.dumps(json.loads(record().value or b"") | {"shelf": "B 7"}).encode()
    assert decode(SCANS, record(value)) == SCAN


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(b"{"), "Invalid JSON"),
        (record(b"[]"), "Input should be an object"),
        (record(b'{"scan_id": "x"}'), "uri: Field required"),
        (record(ce_type="facestream.scan.analysed.v1"), "carries no events of type"),
        (record(ce_specversion="0.3"), "ce_specversion is not 1.0"),
        (Record(b"x", b"{}"), "not a CloudEvent"),
        (Record(None, b"{}"), "the key is missing"),
        (Record(b"\xff", b"{}"), "the key is not UTF-8"),
        (Record(b"other", record().value, record().headers), "is not the event's own"),
    ],
)
def test_what_is_not_an_event_is_refused_with_its_reason(bad: Record, reason: str) -> None:
    with pytest.raises(InvalidRecord, match=reason):
        decode(SCANS, bad)


def test_a_vector_of_broken_base64_is_refused() -> None:
    encoded = encode(analysis(np.zeros(128)), event_id="1", time=NOON)
    value = (encoded.value or b"").replace(b'"embedding":"AAAA', b'"embedding":"A*AA')
    with pytest.raises(InvalidRecord, match=r"faces\.0\.embedding: Value error, not base64"):
        decode(FACES, Record(encoded.key, value, encoded.headers))


def test_a_dead_letter_keeps_the_record_byte_for_byte() -> None:
    headers = (("h", b"\x01"), ("h", None), (NotUtf8(b"\xff"), b""), ("dead_letter_topic", b"\xff"), ("", b"e"))
    letter = DeadLetter(Record(b"\xff\x00", b"not json", headers), "scans", 3, 17, "detect", "why", NOON)
    assert decode_dead_letter(encode_dead_letter(letter, MOST)) == letter


def test_a_dead_letter_without_its_headers_is_refused() -> None:
    with pytest.raises(InvalidRecord, match="not a dead letter"):
        decode_dead_letter(Record(b"k", b"v"))


def test_every_event_has_one_topic() -> None:
    assert topic_of(SCAN) is SCANS
    carried = [event for topic in TOPICS for event in topic.events]
    assert len(carried) == len({event.type for event in carried})


@given(st.text(min_size=1), st.integers(min_value=0, max_value=255))
def test_a_key_of_neighbours_is_taken_apart_again(scan_id: str, shard: int) -> None:
    assert parse_neighbours_key(neighbours_key(scan_id, shard)) == (scan_id, shard)


def test_events_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SCAN.uri = "elsewhere"  # type: ignore[misc]
