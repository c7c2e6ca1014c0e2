"""Notices that a topic is given more partitions while a process publishes to it: its keys would move."""

from __future__ import annotations

from kafka import KafkaProducer

from schemas.topics import topic_named
from stream.topic_states import grown


class Growth:
    """The numbers of partitions that a producer has seen. `ensure_topics` has checked those of the start."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self._seen: dict[str, int] = {}

    def check(self, topic: str) -> None:
        """Raise Fatal where a topic has more partitions than when this was first asked."""
        number = len(self._producer.partitions_for(topic))
        if number > self._seen.setdefault(topic, number):
            raise grown(topic_named(topic), number)
