"""Topics on the broker: created as the schemas define them when absent, checked when present."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from schemas.topics import TOPICS, Topic
from settings import KafkaSettings
from stream import clients
from stream.errors import Fatal


def ensure_topics(kafka: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> None:
    """Create the topics that are missing. Raises Fatal where one is there with another configuration than it needs."""
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
    """What a topic is known by for ever: one that is made anew has another id, and so has that of another broker."""
    admin = clients.admin(kafka)
    try:
        (description,) = admin.describe_topics([topic.name])
        return str(description["topic_id"])
    finally:
        admin.close()


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
            # Another process of ours was quicker; the two create the same.
            admin.wait_for_topics([topic.name])


def _check(admin: KafkaAdminClient, topic: Topic) -> None:
    (description,) = admin.describe_topics([topic.name])
    partitions = len(description["partitions"])
    # More partitions are fine where order between keys does not matter; a single one is a promise.
    if partitions < topic.partitions or (topic.partitions == 1 and partitions != 1):
        raise Fatal(f"topic {topic.name} has {partitions} partitions, it must have {topic.partitions}")
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=dict.fromkeys(topic.config))
    configs = admin.describe_configs([resource], config_filter="all")["topic"][topic.name]
    policy = configs["cleanup.policy"]["value"]
    if policy != topic.config["cleanup.policy"]:
        raise Fatal(f"topic {topic.name} has cleanup.policy={policy}, it must be {topic.config['cleanup.policy']}")
