"""Topics as they are on the broker, compared with what the schemas say: partitions, replicas and configuration.

What was declared when a topic was made is not what is declared now: a retention that changed in the code reaches an
existing topic only when it is altered (`facestream topics --apply`).

A keyed topic may have more partitions than declared, if it was made so. It must not be given more later: a key's later
records would be in another partition than its earlier ones, where a tombstone deletes nothing. Kafka does not remember
how many partitions a topic began with, but its records do: each lies where its key belonged when it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kafka import KafkaAdminClient, TopicPartition
from kafka.partitioner import murmur2

from errors import Fatal
from schemas.defaults import ERASED_WITHIN_H
from schemas.topics import Topic, topic_named
from settings import KafkaSettings
from stream import clients, topic_configs

# So many of the first records of each partition are looked at. If partitions were added, half of them or more are
# elsewhere than their keys belong now.
_LOOKED_AT = 100
_MOST_POLLS = 200

_APPLIED_WITHIN_S, _LOOK_AGAIN_S = 10.0, 0.1

# From so many replicas on, a record that is confirmed is on two brokers at least.
_REPLICAS_FOR_TWO = 3

# A tenth of Kafka's default, and some of the largest records.
_SEGMENT_BYTES = str(128 * 1024 * 1024)
_MAX_RECORD = {"max.message.bytes": str(clients.MAX_RECORD_BYTES)}


@dataclass(frozen=True)
class TopicState:
    """A topic on the broker. replicas: the fewest that one of its partitions has. config: of what is wanted of it, the
    values that it has."""

    topic: Topic
    topic_id: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    erased_within_h: float = ERASED_WITHIN_H

    @property
    def differing(self) -> dict[str, tuple[str, str]]:
        """What is configured otherwise than wanted, by name: the value that it has, and the one that is wanted."""
        wanted = wanted_config(self.topic, self.replicas, self.erased_within_h)
        return {name: (self.config[name], value) for name, value in wanted.items() if self.config[name] != value}

    @property
    def lines(self) -> list[str]:
        """The same for a person, one line for each."""
        return [
            f"topic {self.topic.name} has {name}={present}, this program's is {wanted}: "
            "facestream topics --apply changes it"
            for name, (present, wanted) in self.differing.items()
        ]


def wanted_config(topic: Topic, replicas: int, erased_within_h: float = ERASED_WITHIN_H) -> dict[str, str]:
    """The configuration of a topic that has so many replicas.

    What a compacted topic has lost by a tombstone or a later record is gone within `erased_within_h` hours: a segment
    is closed after a quarter of that, at the latest by what `stream.rolling` appends, and compacted within another one.

    What nothing else holds is safe when it is confirmed: with one replica it is on its disk, with three or more it is
    on two brokers. A producer that waits for all in-sync replicas waits for no more than there are in sync.
    """
    config = {**topic.config, **_MAX_RECORD}
    if topic.retention is None:
        quarter = str(int(erased_within_h * 3_600_000 / 4))
        config |= {"segment.ms": quarter, "max.compaction.lag.ms": quarter, "min.cleanable.dirty.ratio": "0.1"}
        config["segment.bytes"] = _SEGMENT_BYTES
    if topic.irreplaceable and replicas == 1:
        config["flush.messages"] = "1"
    if topic.irreplaceable and replicas >= _REPLICAS_FOR_TWO:
        config["min.insync.replicas"] = "2"
    return config


def topic_states(
    admin: KafkaAdminClient, topics: Collection[Topic], erased_within_h: float = ERASED_WITHIN_H
) -> list[TopicState]:
    """The states of these topics, without those that are not there."""
    by_name = {topic.name: topic for topic in topics}
    described = [one for one in admin.describe_topics(sorted(by_name)) if one["partitions"]] if by_name else []
    if not described:
        return []
    configs = topic_configs.topic_configs(admin, [str(one["name"]) for one in described])
    states = []
    order = list(by_name)
    for one in sorted(described, key=lambda one: order.index(one["name"])):
        topic = by_name[one["name"]]
        replicas = min(len(partition["replica_nodes"]) for partition in one["partitions"])
        wanted = wanted_config(topic, replicas, erased_within_h)
        has = {name: str(configs[topic.name][name]["value"]) for name in wanted}
        states.append(TopicState(topic, str(one["topic_id"]), len(one["partitions"]), replicas, has, erased_within_h))
    return states


def compacts(admin: KafkaAdminClient) -> bool:
    """Whether every broker compacts topics."""
    brokers = [str(one["broker_id"]) for one in admin.describe_cluster()["brokers"]]
    configs = topic_configs.broker_configs(admin, brokers)
    return all(str(configs[one]["log.cleaner.enable"]["value"]).lower() == "true" for one in brokers)


def apply(admin: KafkaAdminClient, states: Iterable[TopicState]) -> None:
    """Configure these topics as wanted, and return when they are so. Nothing else of their configuration changes.

    Raises Fatal where the broker refuses it, or does not do it.
    """
    differing = [state for state in states if state.differing]
    topic_configs.alter(
        admin,
        {one.topic.name: {name: value for name, (_, value) in one.differing.items()} for one in differing},
    )
    # A broker applies what is configured a moment later.
    deadline = time.monotonic() + _APPLIED_WITHIN_S
    while left := [one for one in _again(admin, differing) if one.differing]:
        if time.monotonic() > deadline:
            raise Fatal(f"the Kafka broker took the configuration, and has not applied it: {left[0].lines[0]}")
        time.sleep(_LOOK_AGAIN_S)


def _again(admin: KafkaAdminClient, states: Sequence[TopicState]) -> list[TopicState]:
    """These topics as they are now."""
    within_h = next((one.erased_within_h for one in states), ERASED_WITHIN_H)
    return topic_states(admin, [one.topic for one in states], within_h)


def check(kafka: KafkaSettings, state: TopicState) -> None:
    """Raise Fatal where a topic cannot be used as it is."""
    topic, partitions = state.topic, state.partitions
    # More partitions than wanted are accepted, except where one partition is what gives all records one order.
    if partitions < topic.partitions or (topic.partitions == 1 and partitions != 1):
        raise Fatal(f"topic {topic.name} has {partitions} partitions, it must have {topic.partitions}")
    has, wanted = state.config["cleanup.policy"], topic.config["cleanup.policy"]
    if has != wanted:
        raise Fatal(
            f"topic {topic.name} has cleanup.policy={has}, it must be {wanted}: facestream topics --apply changes it"
        )
    check_growth(kafka, {topic.name: partitions})


def check_growth(kafka: KafkaSettings, partitions: Mapping[str, int]) -> None:
    """Raise Fatal where one of these topics was given more partitions after it had records.

    `partitions` has the number that each has now. Where it is the declared one, nothing is read.
    """
    for name, number in partitions.items():
        topic = topic_named(name)
        if number > topic.partitions > 1 and not _all_in_place(kafka, name, number):
            raise grown(topic, number)


def grown(topic: Topic, partitions: int) -> Fatal:
    """The error that a topic was given more partitions, and has so many now."""
    return Fatal(
        f"topic {topic.name} was given more partitions after it had records ({partitions} now): what is deleted or "
        f"replaced in one partition stays in another; delete the topic, and {topic.way_back}"
    )


def _all_in_place(kafka: KafkaSettings, name: str, number: int) -> bool:
    """Whether the first records of each partition lie where their keys belong."""
    reader = clients.consumer(kafka, isolation_level="read_uncommitted")
    try:
        partitions = [TopicPartition(name, partition) for partition in range(number)]
        ends = reader.end_offsets(partitions)
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        seen = dict.fromkeys(partitions, 0)
        for _ in range(_MOST_POLLS):
            unread = {partition for partition in partitions if reader.position(partition) < ends[partition]}
            wanted = {partition for partition in unread if seen[partition] < _LOOKED_AT}
            reader.pause(*(set(partitions) - wanted))
            if not wanted:
                break
            for partition, records in reader.poll(timeout_ms=500, max_records=_LOOKED_AT).items():
                seen[partition] += len(records)
                for record in records:
                    if record.key is not None and _partition_of(record.key, number) != partition.partition:
                        return False
        return True
    finally:
        reader.close()


def _partition_of(key: bytes, number: int) -> int:
    """The partition that Kafka's default partitioner sends a key to."""
    return int((murmur2(key) & 0x7FFFFFFF) % number)
