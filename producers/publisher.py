"""Publishing events to Kafka, with the broker's confirmation."""

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
from schemas.topics import Tombstone, of_generation, topic_of
from settings import KafkaSettings
from stream import clients
from stream.growth import Growth
from stream.records import scan_of
from telemetry.tracing import Tracer

_CLOSE_S = 5.0


class Publisher:
    """Sends events with an idempotent producer. Use it as a context manager.

    After `flush`, and at the end of the context, the broker has confirmed all events. Raises errors.Fatal, naming the
    broker, when it does not answer or does not confirm what was sent; that message calls the events `what` and ends in
    `advice`, what to do then.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime], what: str, advice: str) -> None:
        self._kafka = kafka
        self._now = now
        self._what = what
        self._advice = advice
        self._failures: list[BaseException] = []
        self._unconfirmed = 0
        self._producer = clients.producer(kafka)
        self._growth = Growth(self._producer)
        self._tracer = Tracer("feed")

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
        """Close the connection, whether or not the broker has confirmed everything."""
        clients.close_producer(self._producer, _CLOSE_S)
        self._tracer.close()

    def send(self, message: Event | Tombstone, generation: str | None = None) -> None:
        """Send an event or a tombstone, to the topic of a generation if one is given, and wait for no confirmation.

        Raises errors.Fatal too where the topic was given more partitions since the first one.
        """
        self._check()
        self._unconfirmed += 1
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        topic = of_generation(topic, generation)
        record = encode(message, event_id=str(uuid4()), time=self._now())
        try:
            self._growth.check(topic.name)
            # Of what is about a scan; a reference, say, is about none.
            scan_id = scan_of(message)
            begun = () if scan_id is None else self._tracer.begin("publish", scan_id)
            headers = [*record.headers, *begun]
            sent = self._producer.send(topic.name, key=record.key, value=record.value, headers=headers)
        except KafkaError as error:
            raise self._unconfirmed_error(error) from error
        sent.add_errback(self._failures.append)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until the broker has confirmed everything sent."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            raise self._unconfirmed_error(error) from error
        self._check()
        self._unconfirmed = 0

    def _check(self) -> None:
        if self._failures:
            raise self._unconfirmed_error(self._failures[0]) from self._failures[0]

    def _unconfirmed_error(self, error: BaseException) -> Fatal:
        return Fatal(
            f"the Kafka broker at {self._kafka.bootstrap_servers} did not confirm all {self._what}, up to "
            f"{self._unconfirmed} may be missing ({error}); {self._advice}"
        )
