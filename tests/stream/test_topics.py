"""What a real broker says of a topic's tombstones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import FACES
from settings import KafkaSettings
from stream import clients
from stream.topics import tombstones_from


def test_tombstones_are_all_there_from_the_oldest_record_that_is_younger_than_they_are_kept(
    kafka: KafkaSettings,
) -> None:
    now = datetime.now(UTC)
    assert tombstones_from(kafka, FACES.name, now) == 0
    producer = clients.producer(kafka)
    for age_days in (20, 10, 0):
        said_at = now - timedelta(days=age_days)
        producer.send(FACES.name, key=b"scan", value=None, timestamp_ms=int(said_at.timestamp() * 1000))
    producer.close()
    for days, first in ((0, 0), (6, 0), (8, 1), (16, 1), (18, 2), (26, 2), (28, 3)):
        assert tombstones_from(kafka, FACES.name, now + timedelta(days=days)) == first

    admin = clients.admin(kafka)
    for_ever = {"delete.retention.ms": str(2**62)}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, FACES.name, configs=for_ever)])
    admin.close()
    assert tombstones_from(kafka, FACES.name, now + timedelta(days=28)) == 0
