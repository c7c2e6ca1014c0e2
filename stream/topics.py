"""Topics on the broker: created as the schemas define them when absent, checked when present."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from errors import Fatal
from schemas.topics import TOPICS, Topic
from settings import KafkaSettings
from stream import clients
from stream.records import Positions


def ensure_topics(kafka: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> None:
    """Create the topics that are missing. Raises Fatal where one exists with another configuration than it needs."""
    wanted = {topic.name: topic for topic in topics}
    admin = clients.admin(kafka)
    try:
        present = set(admin.list_topics()) & wanted.keys()
        _create(admin, [wanted[name] for name in wanted.keys() - present], kafka.replication_factor)
        for name in sorted(present):
            _check(admin, wanted[name])
    finally:
        admin.close()


def topic_id(kafka: KafkaSettings, topic: Topic) -> str:
    """The id that Kafka gave a topic. A topic that was deleted and recreated, or of another broker, has another id."""
    admin = clients.admin(kafka)
    try:
        (description,) = admin.describe_topics([topic.name])
        return str(description["topic_id"])
    finally:
        admin.close()


@dataclass(frozen=True)
class Extent:
    """A topic as it is now: its id, the ends of its partitions (committed records), and for each partition the first
    offset from which on no tombstone has been compacted away."""

    topic_id: str
    ends: Positions
    tombstones_from: Positions


def extent(kafka: KafkaSettings, topic: str, now: datetime) -> Extent:
    """The extent of a topic at `now`.

    Compaction may delete tombstones that are older than the topic's delete.retention.ms (Kafka's documentation, "Log
    Compaction"). A tenth of that time is subtracted, since clocks differ.
    """
    admin, reader = clients.admin(kafka), clients.consumer(kafka)
    try:
        (description,) = admin.describe_topics([topic])
        partitions = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
        ends = reader.end_offsets(partitions)
        retention_ms = int(_configs(admin, topic, ["delete.retention.ms"])["delete.retention.ms"]["value"])
        oldest_ms = max(0, now.timestamp() * 1000 - 0.9 * retention_ms)
        firsts = reader.offsets_for_times(dict.fromkeys(partitions, oldest_ms))
        return Extent(
            str(description["topic_id"]),
            {(topic, partition.partition): int(ends[partition]) for partition in partitions},
            {
                # None where all records are older than that.
                (topic, partition.partition): int(ends[partition] if first is None else first.offset)
                for partition, first in firsts.items()
            },
        )
    finally:
        reader.close()
        admin.close()


def tombstones_from(kafka: KafkaSettings, topic: str, now: datetime) -> int:
    """The first offset of a topic of one partition from which on no tombstone has been compacted away at `now`."""
    return extent(kafka, topic, now).tombstones_from[topic, 0]


def _configs(admin: KafkaAdminClient, topic: str, names: Iterable[str]) -> Mapping[str, Any]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict.fromkeys(names))
    configs: Mapping[str, Any] = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return configs


def _create(admin: KafkaAdminClient, topics: list[Topic], replication_factor: int) -> None:
    for topic in topics:
        definition = {
            "num_partitions": topic.partitions,
            "replication_factor": replication_factor,
            "configs": {**topic.config, "max.message.bytes": str(clients.MAX_RECORD_BYTES)},
        }
        try:
            admin.create_topics({topic.name: definition}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            # Another Facestream process created it meanwhile, with the same configuration.
            admin.wait_for_topics([topic.name])


def _check(admin: KafkaAdminClient, topic: Topic) -> None:
    (description,) = admin.describe_topics([topic.name])
    partitions = len(description["partitions"])
    # More partitions than wanted are accepted, except where one partition is what gives all records one order.
    if partitions < topic.partitions or (topic.partitions == 1 and partitions != 1):
        raise Fatal(f"topic {topic.name} has {partitions} partitions, it must have {topic.partitions}")
    policy = _configs(admin, topic.name, ["cleanup.policy"])["cleanup.policy"]["value"]
    if policy != topic.config["cleanup.policy"]:
        raise Fatal(f"topic {topic.name} has cleanup.policy={policy}, it must be {topic.config['cleanup.policy']}")
