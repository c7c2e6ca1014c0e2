"""A broker, what is written to it, and the consumers that read it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from local.services import services
from schemas.base import Event
from schemas.codec import encode
from schemas.topics import Record, Tombstone, Topic, topic_of
from settings import KafkaSettings, Settings
from stream import clients
from stream.lag import lag_reader
from stream.topics import ensure_topics
from tests.builders.clock import now, wait_until

Run = Callable[[Settings, str, threading.Event, Callable[[], datetime]], None]
Stages = Mapping[str, Sequence[Topic]]
"""Groups of consumers, and the topics that each reads."""


# What a JVM of its own writes into an empty folder before its broker can start, by name; empty before the first one.
_FORMATTED: dict[str, bytes] = {}


@contextmanager
def broker(data: Path) -> Iterator[KafkaSettings]:
    """A real broker with the project's topics, its data in this folder."""
    log = data / "kafka" / "log"
    if _FORMATTED and not log.exists():
        log.mkdir(parents=True)
        for name, content in _FORMATTED.items():
            (log / name).write_bytes(content)
    with services(Settings(data=data), database=False, command="pytest") as running:
        _FORMATTED.update({name: (log / name).read_bytes() for name in ("meta.properties", "bootstrap.checkpoint")})
        ensure_topics(running.kafka)
        yield running.kafka


def publish(kafka: KafkaSettings, messages: Sequence[Event | Tombstone]) -> None:
    """Write messages to the topics that they belong to."""
    producer = clients.producer(kafka)
    for message in messages:
        record = encode(message, event_id=uuid4().hex, time=now())
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))
    producer.close()


def publish_record(kafka: KafkaSettings, topic: Topic, record: Record) -> None:
    """Write a record as it is, whether it can be read or not."""
    producer = clients.producer(kafka)
    producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))
    producer.close()


@contextmanager
def running(settings: Settings, *runs: Run) -> Iterator[list[Future[None]]]:
    """Consumers in threads, stopped at the end; the error that ended one of them is raised then."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(runs)) as pool:
        futures = [pool.submit(run, settings, "0", stop, now) for run in runs]
        try:
            yield futures
        finally:
            stop.set()
            # Also where the test has failed: it may have waited for one that had ended.
            for future in futures:
                future.result()


def wait_until_done(kafka: KafkaSettings, stages: Stages, within_s: float = 60) -> None:
    """Wait until each stage has read all of its topics."""
    with lag_reader(kafka) as reader:
        wait_until(
            lambda: not any(reader.lags(stages).values()), lambda: f"still behind: {reader.lags(stages)}", within_s
        )
