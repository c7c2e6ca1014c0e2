"""What is deleted leaves the broker: segments are closed, compacted, and logs are copied without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.clusters import Change, ClusterChanged
from schemas.topics import CLUSTERS, LABELS, SCANS, Record, Tombstone, Topic
from settings import KafkaSettings
from stream import clients, log_copies, rolling
from stream.reading import beginning_of, end_of, read_to_end, undecoded_until
from tests.builders.clock import wait_until
from tests.builders.feed import scan
from tests.builders.kafka import publish, publish_foreign


def everything(kafka: KafkaSettings, topic: str) -> list[Any]:
    """All records on the broker, those of aborted transactions too."""
    reader = clients.consumer(kafka, isolation_level="read_uncommitted")
    partitions = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
    ends = reader.end_offsets(partitions)
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    found: list[Any] = []
    while any(reader.position(one) < ends[one] for one in partitions):
        found += [record for records in reader.poll(timeout_ms=500).values() for record in records]
    reader.close()
    return found


def test_a_tombstoned_value_and_its_tombstone_are_gone_soon_also_where_nobody_publishes(
    empty_kafka: KafkaSettings,
) -> None:
    scans = [scan("album", f"{number}.jpg") for number in range(20)]
    publish(empty_kafka, scans)
    publish(empty_kafka, [Tombstone(SCANS, one.scan_id) for one in scans[:19]])

    def left() -> list[Topic]:
        keys = {one.key for one in everything(empty_kafka, SCANS.name)}
        return [SCANS] if keys - {scans[19].key.encode(), b"closes a segment"} else []

    assert left()
    with rolling.at_once(empty_kafka, [SCANS], tombstones=True):
        assert rolling.roll_until(empty_kafka, left, within_s=90)
    assert [one.message for one in read_to_end(empty_kafka, SCANS)] == [scans[19]]


def test_the_configuration_is_as_before_then(empty_kafka: KafkaSettings) -> None:
    admin: KafkaAdminClient = clients.admin(empty_kafka)
    resource = ConfigResource(ConfigResourceType.TOPIC, LABELS.name, configs=None)

    def config() -> dict[str, tuple[str, str]]:
        found = admin.describe_configs([resource], config_filter="all")["topic"][LABELS.name]
        return {name: (str(one["value"]), str(one["config_source"])) for name, one in found.items()}

    # As it was made: a broker applies what is configured a moment later.
    wait_until(lambda: config()["flush.messages"][0] == "1", "the topic is not configured")
    before = config()
    with rolling.at_once(empty_kafka, [LABELS], tombstones=True):
        wait_until(lambda: config()["delete.retention.ms"][0] == "0", "the topic is not configured")
    wait_until(lambda: config() == before, "the topic is configured otherwise")
    admin.close()


def changes(kafka: KafkaSettings) -> list[tuple[str, str | None]]:
    messages = [one.message for one in read_to_end(kafka, CLUSTERS)]
    return [(one.cluster_id, one.successor) for one in messages if isinstance(one, ClusterChanged)]


def without(cluster_id: str) -> Callable[[Record], Record | None]:
    return lambda record: None if record.key == cluster_id.encode() else record


def publish_changes(kafka: KafkaSettings) -> None:
    publish(kafka, [ClusterChanged(cluster_id=one, change=Change.CREATED, size=1) for one in ("a", "b", "c", "a")])


def event_ids(kafka: KafkaSettings) -> list[bytes]:
    records = undecoded_until(kafka, end_of(kafka, CLUSTERS))
    return [dict(one.headers)["ce_id"] for one in records]


def test_a_log_is_copied_without_some_records_and_the_others_keep_their_ids_and_times(
    empty_kafka: KafkaSettings,
) -> None:
    publish_changes(empty_kafka)
    ids, end = event_ids(empty_kafka), end_of(empty_kafka, CLUSTERS)[CLUSTERS.name, 0]
    copied = log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure")
    assert copied is not None
    assert (copied.had_from, copied.copies_from >= end) == (0, True)
    assert changes(empty_kafka) == [("b", None), ("c", None)]
    assert event_ids(empty_kafka) == ids[1:3]
    assert beginning_of(empty_kafka, CLUSTERS)[CLUSTERS.name, 0] == copied.copies_from
    assert log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure") == copied, "there is nothing more to do"
    assert log_copies.rewrite(empty_kafka, CLUSTERS, without("x"), "another") is None
    publish_changes(empty_kafka)
    again = log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure")
    assert again is not None
    assert again.had_from == copied.copies_from
    assert changes(empty_kafka) == [("b", None), ("c", None)] * 2


def test_what_has_neither_key_nor_value_stays_in_a_log_that_is_copied(empty_kafka: KafkaSettings) -> None:
    publish_foreign(empty_kafka, CLUSTERS, [Record(None, None, (("x", b"1"),))])
    publish_changes(empty_kafka)
    assert log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure")
    first, *_ = undecoded_until(empty_kafka, end_of(empty_kafka, CLUSTERS))
    assert (first.key, first.value, first.headers[0]) == (None, None, ("x", b"1"))
    assert changes(empty_kafka) == [("b", None), ("c", None)]


def test_copying_that_was_cut_off_goes_on_and_copies_nothing_twice(
    empty_kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_changes(empty_kafka)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(log_copies, "_delete_before", killed)
        log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure")
    assert len(changes(empty_kafka)) == 6
    log_copies.rewrite(empty_kafka, CLUSTERS, without("a"), "erasure")
    assert changes(empty_kafka) == [("b", None), ("c", None)]
