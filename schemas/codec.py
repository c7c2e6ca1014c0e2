"""Events as Kafka records and back: CloudEvents 1.0 in Kafka's binary mode.

The attributes are `ce_` headers, the value is the event as JSON (Kafka Protocol Binding for CloudEvents 1.0.2,
section 3.2). Only binary mode leaves a tombstone a tombstone: a structured envelope would be a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from pydantic import ValidationError
from pydantic_core import from_json

from errors import FacestreamError, Fatal
from schemas.base import Event
from schemas.topics import Headers, NotUtf8, Record, Tombstone, Topic, generation_of

SOURCE = "facestream"

# Longer than any key: a scan's id had at most 1,024 characters of up to 4 bytes from the beginning.
_MOST_KEY_BYTES = 8_192
_MOST_REASON = 500


class InvalidRecord(FacestreamError):
    """This record is not an event of its topic, so that another try cannot succeed. The text gives the reason."""


class NewerRecord(Fatal):
    """This record is a later version of an event that is known here: a consumer must not pass it by."""


def encode(message: Event | Tombstone, *, event_id: str, time: datetime, source: str = SOURCE) -> Record:
    """The Kafka record of an event or a tombstone.

    `event_id` with `source` identifies the event (CloudEvents 1.0.2, section 3.1.1); `time` is when it was made.
    """
    headers: Headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.isoformat().encode()),
    )
    if isinstance(message, Tombstone):
        kind = tombstone_type(message.topic)
        return Record(message.key.encode(), None, (*headers, ("ce_type", kind.encode())))
    headers += (("ce_type", message.type.encode()), ("content-type", b"application/json"))
    return Record(message.key.encode(), encoded(message), headers)


def tombstone_type(topic: Topic) -> str:
    """The type of a topic's tombstones: that of the topic of all, also in one that a generation has in its place."""
    return f"facestream.{generation_of(topic.name)[0]}.tombstone.v1"


def encoded(event: Event) -> bytes:
    """The value of an event's record, as JSON; equal events yield equal bytes."""
    return event.model_dump_json().encode()


def made_at(record: Record) -> datetime | None:
    """When the event of a record was made; None where its record does not say."""
    value = next((value for name, value in record.headers if name == "ce_time"), None)
    try:
        time = datetime.fromisoformat((value or b"").decode())
    except ValueError:
        return None
    return time if time.tzinfo is not None and 1970 < time.year < 9000 else None


def decode(topic: Topic, record: Record) -> Event | Tombstone:
    """The event or tombstone of a record read from `topic`.

    Fields that this version does not know are left out. Raises InvalidRecord when the key is missing or not UTF-8,
    the type is unknown, the value is not such an event, or key and event disagree; NewerRecord when the version of the
    type is a later one than this program knows. Whatever the bytes are, it raises nothing else.
    """
    key = _key(record.key)
    if any(isinstance(name, NotUtf8) for name, _ in record.headers):
        raise InvalidRecord("the name of a header is not UTF-8")
    if record.value is None:
        return _tombstone(topic, key, record)
    if _attribute(record, "ce_specversion") != "1.0":
        raise InvalidRecord("not a CloudEvent 1.0 in binary mode: the header ce_specversion is not 1.0")
    event_class = _class_of(topic, _attribute(record, "ce_type"))
    # The bytes are looked for first: it costs a hundredth of parsing them.
    if b"NaN" in record.value or b"Infinity" in record.value:
        _refuse_what_is_no_number(event_class, record.value)
    try:
        event = event_class.model_validate_json(record.value)
    except ValidationError as error:
        raise InvalidRecord(f"not a {event_class.type}: {_first_problem(error)}") from error
    if event.key != key:
        raise InvalidRecord(f"the key {key[:100]!r} is not the event's own, {event.key[:100]!r}")
    return event


def _tombstone(topic: Topic, key: str, record: Record) -> Tombstone:
    if topic.retention is not None:
        raise InvalidRecord(f"a record without a value: the topic {topic.name} is not compacted, so nothing is deleted")
    kind = next((value for name, value in record.headers if name == "ce_type"), None)
    if kind is not None:
        _refuse_newer(kind.decode(errors="replace"), [tombstone_type(topic)])
    return Tombstone(topic, key)


def _class_of(topic: Topic, type_name: str) -> type[Event]:
    for event_class in topic.events:
        if event_class.type == type_name:
            return event_class
    _refuse_newer(type_name, (event_class.type for event_class in topic.events))
    raise InvalidRecord(f"the topic {topic.name} carries no events of type {type_name[:100]!r}")


def _refuse_newer(type_name: str, known_types: Iterable[str]) -> None:
    """Raise NewerRecord where a type is a later version of a known one."""
    stem, _, version = type_name.rpartition(".")
    for known in known_types:
        known_stem, _, known_version = known.rpartition(".")
        is_version = re.fullmatch("v[1-9][0-9]{0,3}", version, re.ASCII)
        if stem == known_stem and is_version and int(version[1:]) > int(known_version[1:]):
            raise NewerRecord(f"{type_name} is newer than this program, which knows {known_version}: update Facestream")


def _refuse_what_is_no_number(event_class: type[Event], value: bytes) -> None:
    """Raise InvalidRecord for NaN and Infinity outside of texts: they are no JSON (RFC 8259, section 6)."""
    try:
        from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRecord(f"not a {event_class.type}: Invalid JSON, such as NaN ({error})") from error


def _key(key: bytes | None) -> str:
    text = _text(key, "the key")
    if not text:
        raise InvalidRecord("the key is empty")
    if len(text) > _MOST_KEY_BYTES:
        raise InvalidRecord(f"the key has more than {_MOST_KEY_BYTES:,} bytes")
    return text


def _attribute(record: Record, name: str) -> str:
    values = [value for own_name, value in record.headers if own_name == name]
    if not values:
        raise InvalidRecord(f"not a CloudEvent: the header {name} is missing")
    if len(values) > 1:
        raise InvalidRecord(f"not a CloudEvent: the header {name} occurs {len(values)} times")
    return _text(values[0], f"the header {name}")


def _text(value: bytes | None, what: str) -> str:
    if value is None:
        raise InvalidRecord(f"{what} has no value" if what.startswith("the header") else f"{what} is missing")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"{what} is not UTF-8") from error


def _first_problem(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{where + ': ' if where else ''}{first['msg']}"[:_MOST_REASON] + more
