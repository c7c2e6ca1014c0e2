"""Taking records out of a topic that is not compacted.

A tombstone deletes nothing there. So what is to stay is copied behind what is there now, and all before the copies is
deleted. A copy has the key, the headers and the time of its record; so a subscriber sees by the id of the event that it
has it already (CloudEvents 1.0.2, section 3.1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition

from schemas.topics import Record, Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import beginning_of, end_of, undecoded_until
from stream.records import Positions
from stream.rolling import at_once, close_segments

_COPY = "ce_copy"
# The longest that brokers allow by default: all copies are one transaction.
_TRANSACTION_TIMEOUT_MS = 900_000
_CONFIRM_S = 600.0


@dataclass(frozen=True)
class Copied:
    """Where the records of a topic were, and from where on their copies are."""

    had_from: int
    copies_from: int


def rewrite(
    kafka: KafkaSettings, topic: Topic, changed: Callable[[Record], Record | None], rewriting: str
) -> Copied | None:
    """Replace each record of a topic of one partition by what `changed` returns for it, None for nothing.

    Where all are the same nothing is done. `rewriting` is the id of the reason: an attempt that was cut off goes on
    when this is called with the same id again. Returns what was copied for this reason, now or before. Raises
    KafkaError.
    """
    place = (topic.name, 0)
    begin = beginning_of(kafka, topic)[place]
    copied = _copied(kafka, topic, rewriting)
    is_unfinished = copied is not None and begin < copied.copies_from
    if not is_unfinished and any(
        changed(it) != it for it in map(_record, undecoded_until(kafka, end_of(kafka, topic)))
    ):
        # A segment is deleted as a whole: the copies have to be in another one.
        with at_once(kafka, [topic], tombstones=False):
            close_segments(kafka, [topic])
            end = end_of(kafka, topic)
            _copy(kafka, undecoded_until(kafka, end), changed, f"{rewriting}/{begin}")
        copied = Copied(begin, end[place])
    if copied is not None:
        _delete_before(kafka, {place: copied.copies_from})
    return copied


def _copied(kafka: KafkaSettings, topic: Topic, rewriting: str) -> Copied | None:
    """What was copied last for this reason; None where there are no copies."""
    copies: dict[bytes, int] = {}
    for one in undecoded_until(kafka, end_of(kafka, topic)):
        mark = dict(one.headers).get(_COPY, b"")
        if mark.startswith(rewriting.encode()):
            copies.setdefault(mark, one.offset)
    if not copies:
        return None
    mark, first = max(copies.items(), key=lambda one: one[1])
    return Copied(int(mark.rpartition(b"/")[2]), first)


def _copy(kafka: KafkaSettings, records: Iterable[Any], changed: Callable[[Record], Record | None], mark: str) -> None:
    producer = clients.producer(
        kafka, transactional_id="facestream-copying", transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
    )
    try:
        clients.begin_transactions(producer)
        producer.begin_transaction()
        for one in records:
            record = changed(_record(one))
            if record is None:
                continue
            headers = [(name, value or b"") for name, value in record.headers if name != _COPY]
            producer.send(
                one.topic,
                key=clients.key_to_send(record),
                value=record.value,
                headers=[*headers, (_COPY, mark.encode())],
                partition=one.partition,
                timestamp_ms=one.timestamp,
            )
        producer.flush(timeout=_CONFIRM_S)
        clients.bounded(producer.commit_transaction, _CONFIRM_S)
    finally:
        clients.close_producer(producer, within_s=5)


def _delete_before(kafka: KafkaSettings, begins: Positions) -> None:
    admin: KafkaAdminClient = clients.admin(kafka)
    try:
        admin.delete_records({TopicPartition(*partition): offset for partition, offset in begins.items()})
    finally:
        admin.close()


def _record(consumed: Any) -> Record:  # noqa: ANN401
    return Record(consumed.key, consumed.value, tuple(consumed.headers))
