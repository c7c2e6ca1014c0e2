"""From which offset on a topic still has all its tombstones; on a real broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import FACES
from settings import KafkaSettings
from stream import clients
from stream.topics import tombstones_from


def test_no_tombstone_is_missing_from_the_oldest_record_on_that_is_younger_than_the_retention(
    kafka: KafkaSettings,
) -> None:
    now = datetime.now(UTC)
    assert tombstones_from(kafka, FACES.name, now) == 0
    producer = clients.producer(kafka)
    for age_days in (20, 10, 0):
        published_at = now - timedelta(days=age_days)
        producer.send(FACES.name, key=b"scan", value=None, timestamp_ms=int(published_at.timestamp() * 1000))
    producer.close()
    for days, first in ((0, 0), (6, 0), (8, 1), (16, 1), (18, 2), (26, 2), (28, 3)):
        assert tombstones_from(kafka, FACES.name, now + timedelta(days=days)) == first

    admin = clients.admin(kafka)
    long_retention = {"delete.retention.ms": str(2**62)}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, FACES.name, configs=long_retention)])
    admin.close()
    assert tombstones_from(kafka, FACES.name, now + timedelta(days=28)) == 0
