"""Events as Kafka records and back: CloudEvents 1.0 in Kafka's binary mode.

The attributes are `ce_` headers, the value is the event as JSON (Kafka Protocol Binding for CloudEvents 1.0.2,
section 3.2). Only binary mode leaves a tombstone a tombstone: a structured envelope would be a value.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from errors import FacestreamError
from schemas.base import Event
from schemas.topics import Record, Tombstone, Topic

SOURCE = "facestream"


class InvalidRecord(FacestreamError):
    """This record is not an event of its topic, so that another try cannot succeed. The text gives the reason."""


def encode(message: Event | Tombstone, *, event_id: str, time: datetime, source: str = SOURCE) -> Record:
    """The Kafka record of an event or a tombstone.

    `event_id` with `source` identifies the event (CloudEvents 1.0.2, section 3.1.1); `time` is when it was made.
    """
    headers: tuple[tuple[str, bytes], ...] = (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.isoformat().encode()),
    )
    if isinstance(message, Tombstone):
        kind = f"facestream.{message.topic.name}.tombstone.v1"
        return Record(message.key.encode(), None, (*headers, ("ce_type", kind.encode())))
    headers += (("ce_type", message.type.encode()), ("content-type", b"application/json"))
    return Record(message.key.encode(), encoded(message), headers)


def encoded(event: Event) -> bytes:
    """The value of an event's record, as JSON; equal events yield equal bytes."""
    return event.model_dump_json().encode()


def decode(topic: Topic, record: Record) -> Event | Tombstone:
    """The event or tombstone of a record read from `topic`.

    Fields that this version does not know are left out. Raises InvalidRecord when the key is missing or not UTF-8,
    the type is unknown or of an unknown version, the value is not such an event, or key and event disagree.
    """
    key = _text(record.key, "the key")
    if record.value is None:
        return Tombstone(topic, key)
    attributes = {name: value for name, value in record.headers if name.startswith("ce_") or name == "content-type"}
    if attributes.get("ce_specversion") != b"1.0":
        raise InvalidRecord("not a CloudEvent 1.0 in binary mode: the header ce_specversion is not 1.0")
    if "ce_type" not in attributes:
        raise InvalidRecord("not a CloudEvent: the header ce_type is missing")
    event_class = _class_of(topic, _text(attributes["ce_type"], "the header ce_type"))
    try:
        event = event_class.model_validate_json(record.value)
    except ValidationError as error:
        raise InvalidRecord(f"not a {event_class.type}: {_first_problem(error)}") from error
    if event.key != key:
        raise InvalidRecord(f"the key {key!r} is not the event's own, {event.key!r}")
    return event


def _class_of(topic: Topic, type_name: str) -> type[Event]:
    for event_class in topic.events:
        if event_class.type == type_name:
            return event_class
    stem, _, version = type_name.rpartition(".")
    for event_class in topic.events:
        known_stem, _, known_version = event_class.type.rpartition(".")
        if stem == known_stem:
            raise InvalidRecord(f"version {version} of {stem} is unknown here, {known_version} is known")
    raise InvalidRecord(f"the topic {topic.name} carries no events of type {type_name!r}")


def _text(value: bytes | None, what: str) -> str:
    if value is None:
        raise InvalidRecord(f"{what} is missing")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"{what} is not UTF-8") from error


def _first_problem(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{where + ': ' if where else ''}{first['msg']}{more}"
