"""Which of Kafka's errors stop a consumer, and the line that a person reads then. Both loops use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import FencedInstanceIdError, InvalidProducerEpochError, KafkaError, ProducerFencedError

from errors import Fatal
from settings import KafkaSettings

FENCED = (FencedInstanceIdError, ProducerFencedError, InvalidProducerEpochError)
"""Another process has joined with the same member name or transactional id: the broker refuses the older one."""


@contextmanager
def kafka_errors_are_fatal(kafka: KafkaSettings, group: str, member_name: str) -> Iterator[None]:
    """Raise Fatal instead of Kafka's errors: where this member was fenced, and where the broker is lost."""
    try:
        yield
    except FENCED as error:
        raise Fatal(f"another {group} has taken over as member {member_name!r}: give each its own --member") from error
    except KafkaError as error:
        raise Fatal(f"{group} lost the Kafka broker at {kafka.bootstrap_servers} ({error})") from error
