"""Topics on the broker: created as the schemas define them when absent, checked when present."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from schemas.topics import TOPICS, Topic
from settings import KafkaSettings
from stream import clients
from stream.records import Positions
from stream.topic_configs import topic_configs
from stream.topic_states import apply, check, topic_states, wanted_config

_DEFAULT = -1
_LOOK_AGAIN_S = 0.1


def ensure_topics(kafka: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing. Returns what of others is configured otherwise than wanted, a line for each.

    Raises Fatal where one exists that cannot be used as it is.
    """
    wanted = {topic.name: topic for topic in topics}
    admin = clients.admin(kafka)
    try:
        missing = wanted.keys() - set(admin.list_topics())
        _create(admin, [wanted[name] for name in sorted(missing)], kafka)
        states = topic_states(admin, wanted.values(), kafka.erased_within_h)
        # How many replicas a new topic has is known only now, where the broker decides that.
        new = [state for state in states if state.topic.name in missing and state.differing]
        if new:
            apply(admin, new)
            states = topic_states(admin, wanted.values(), kafka.erased_within_h)
        for state in states:
            check(kafka, state)
        return [line for state in states for line in state.lines]
    finally:
        admin.close()


def delete_topics(kafka: KafkaSettings, names: Collection[str]) -> None:
    """Delete those of these topics that are there, and return when they are gone."""
    admin = clients.admin(kafka)
    try:
        there = sorted(set(names) & set(admin.list_topics()))
        if there:
            admin.delete_topics(there)
        while set(there) & set(admin.list_topics()):
            time.sleep(_LOOK_AGAIN_S)
    finally:
        admin.close()


def topic_ids(kafka: KafkaSettings, names: Collection[str]) -> dict[str, str]:
    """The ids that Kafka gave these topics, by name. One that was deleted and recreated, or is another broker's, has
    another id. Those that are not there are left out."""
    admin = clients.admin(kafka)
    try:
        described = admin.describe_topics(sorted(names))
        return {str(one["name"]): str(one["topic_id"]) for one in described if one["partitions"]}
    finally:
        admin.close()


def topic_id(kafka: KafkaSettings, topic: Topic) -> str:
    """The id of one topic, which is there."""
    return topic_ids(kafka, [topic.name])[topic.name]


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
        retention_ms = int(topic_configs(admin, [topic])[topic]["delete.retention.ms"]["value"])
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


def _create(admin: KafkaAdminClient, topics: list[Topic], kafka: KafkaSettings) -> None:
    replication_factor = kafka.replication_factor
    for topic in topics:
        definition = {
            "num_partitions": topic.partitions,
            # The broker's default.
            "replication_factor": _DEFAULT if replication_factor is None else replication_factor,
            "configs": wanted_config(topic, replication_factor or 0, kafka.erased_within_h),
        }
        try:
            admin.create_topics({topic.name: definition}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            # Another Facestream process created it meanwhile, with the same configuration.
            admin.wait_for_topics([topic.name])
