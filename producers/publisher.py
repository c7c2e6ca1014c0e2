"""Publishing events to Kafka, and knowing that they are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from kafka.errors import KafkaError

from errors import Fatal
from schemas.base import Event
from schemas.codec import encode
from schemas.topics import Tombstone, topic_of
from settings import KafkaSettings
from stream import clients

_CLOSE_S = 5.0


class Publisher:
    """Hands events to an idempotent producer. Use it as a context; after `flush`, and at its end, all is there.

    Raises Fatal, naming the broker, when it does not answer or does not take what was published. `what` are the
    events called in that line, and `advice` is what to do then.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime], what: str, advice: str) -> None:
        self._kafka = kafka
        self._now = now
        self._what = what
        self._advice = advice
        self._failures: list[BaseException] = []
        self._unconfirmed = 0
        self._producer = clients.producer(kafka)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the broker, whatever it has confirmed."""
        self._producer.close(timeout=_CLOSE_S)

    def send(self, said: Event | Tombstone) -> None:
        """Hand an event or a tombstone over."""
        self._check()
        self._unconfirmed += 1
        topic = said.topic if isinstance(said, Tombstone) else topic_of(said)
        record = encode(said, event_id=str(uuid4()), time=self._now())
        try:
            sent = self._producer.send(topic.name, key=record.key, value=record.value, headers=list(record.headers))
        except KafkaError as error:
            raise self._not_taken(error) from error
        sent.add_errback(self._failures.append)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until the broker has confirmed all of it."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            raise self._not_taken(error) from error
        self._check()
        self._unconfirmed = 0

    def _check(self) -> None:
        if self._failures:
            raise self._not_taken(self._failures[0]) from self._failures[0]

    def _not_taken(self, error: BaseException) -> Fatal:
        return Fatal(
            f"the Kafka broker at {self._kafka.bootstrap_servers} did not take all {self._what}, up to "
            f"{self._unconfirmed} may be missing ({error}); {self._advice}"
        )
