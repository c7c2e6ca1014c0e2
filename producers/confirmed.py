"""Sending records and waiting until the broker has them, for what an erasure publishes."""

from __future__ import annotations

from collections.abc import Iterable

from kafka.errors import KafkaError

from errors import Fatal
from schemas.topics import Record, Topic
from settings import KafkaSettings
from stream import clients
from stream.records import Positions

_CONFIRM_S = 60.0


def send(kafka: KafkaSettings, records: Iterable[tuple[Topic, Record]]) -> Positions:
    """Send records; the end of each partition that got some, behind the last one. Raises errors.Fatal."""
    producer = clients.producer(kafka)
    try:
        pending = [
            producer.send(topic.name, key=record.key, value=record.value, headers=list(record.headers))
            for topic, record in records
        ]
        producer.flush(timeout=_CONFIRM_S)
        places = [(sent.topic, sent.partition, sent.offset) for sent in (it.get(timeout=_CONFIRM_S) for it in pending)]
    except KafkaError as error:
        raise Fatal(
            f"the Kafka broker at {kafka.bootstrap_servers} did not confirm what is erased ({error}): "
            "facestream erase goes on with it"
        ) from error
    finally:
        clients.close_producer(producer, within_s=5)
    ends: dict[tuple[str, int], int] = {}
    for topic_name, partition, offset in places:
        ends[topic_name, partition] = max(offset + 1, ends.get((topic_name, partition), 0))
    return ends
