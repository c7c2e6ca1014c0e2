"""A broker, what is written to it, and the consumers that read it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import NoError
from kafka.serializer import Serializer
from kafka.structs import OffsetAndMetadata

from cli.supervisor import as_environment
from local.services import services
from schemas.base import Event
from schemas.codec import encode
from schemas.topics import Headers, Record, Tombstone, Topic, topic_of
from settings import KafkaSettings, Settings
from stream import clients
from stream.groups import known_groups
from stream.lag import lag_reader
from stream.reading import end_of, read_to_end
from stream.records import Positions, Received
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


def empty(kafka: KafkaSettings) -> None:
    """Make a running broker one that has just been set up, which takes a tenth of the time of another start.

    The topics are new ones, with other ids; there is no group, and no transaction is open.
    """
    with closing(clients.admin(kafka)) as admin:
        for transactions in clients.patiently(admin.list_transactions)(state_filters=["Ongoing"]).values():
            for transaction in transactions:
                # Of a process that was killed. The next one of its name aborts it.
                producer = clients.producer(kafka, transactional_id=transaction.transactional_id)
                producer.init_transactions()
                producer.close()
        groups = sorted(known_groups(kafka))
        for group, described in admin.describe_groups(groups).items():
            # Those that were killed belong to it until their sessions have lapsed.
            members = [MemberToRemove(member_id=member["member_id"]) for member in described["members"]]
            if members:
                admin.remove_group_members(group, members)
        assert set(admin.delete_groups(groups).values()) <= {"OK"}
        topics = [name for name in admin.list_topics() if not name.startswith("__")]
        admin.delete_topics(topics)
        wait_until(lambda: not set(admin.list_topics()) & set(topics), "the topics were not deleted", every_s=0.02)
    ensure_topics(kafka)


def name_broker(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands use this broker, as the settings of the environment."""
    for name, value in as_environment(Settings(kafka=kafka)).items():
        if name.startswith("FACESTREAM_KAFKA__"):
            monkeypatch.setenv(name, value)


def for_subscribers(kafka: KafkaSettings) -> dict[str, Any]:
    """The options by which kafka-python connects to it, as anybody would without this project's code."""
    assert kafka.sasl_password is not None
    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.sasl_password.get_secret_value(),
    }


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


def lose_records_after(segment: Path, size: int) -> None:
    """Cut a segment of a broker that has ended, as a power cut would: its next start has the first `size` bytes."""
    with segment.open("r+b") as file:
        file.truncate(size)
    beside = (*segment.parent.glob("*.snapshot"), *segment.parent.glob("*index"))
    for path in (*beside, segment.parents[1] / ".kafka_cleanshutdown"):
        path.unlink(missing_ok=True)


def recreate(kafka: KafkaSettings, *topics: Topic) -> None:
    """Delete topics, and make them again without any record."""
    names = {topic.name for topic in topics}
    admin = clients.admin(kafka)
    try:
        admin.delete_topics(sorted(names))
        wait_until(lambda: not names & set(admin.list_topics()), "the topics are not deleted")
    finally:
        admin.close()
    ensure_topics(kafka, topics)


def commit(kafka: KafkaSettings, group: str, positions: Positions, metadata: str = "") -> None:
    """Commit offsets for a group, whatever they are; its members have ended."""
    offsets = {TopicPartition(*one): OffsetAndMetadata(offset, metadata, -1) for one, offset in positions.items()}
    admin = clients.admin(kafka)
    try:
        _end_session(admin, group)
        errors = clients.patiently(admin.alter_group_offsets)(group, offsets)
        assert all(error is NoError for error in errors.values())
    finally:
        admin.close()


def end_session(kafka: KafkaSettings, group: str) -> None:
    """Remove the member that `running` has run from its group, where it stays for some seconds after it has ended."""
    admin = clients.admin(kafka)
    try:
        _end_session(admin, group)
    finally:
        admin.close()


def _end_session(admin: KafkaAdminClient, group: str) -> None:
    if clients.patiently(admin.describe_groups)([group])[group]["members"]:
        admin.remove_group_members(group, [MemberToRemove(group_instance_id=f"{group}-0")])


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


def no_transaction_is_open(kafka: KafkaSettings, topic: Topic, within_s: float = 10) -> bool:
    """Whether all records of a topic can be read soon: the broker answers a commit before readers see what it ends."""
    try:
        wait_until(lambda: end_of(kafka, topic) == end_of(kafka, topic, with_open=True), "open", within_s, every_s=0.02)
    except TimeoutError:
        return False
    return True


def all_of(kafka: KafkaSettings, topic: Topic) -> list[Received]:
    """All records of a topic, also those behind a transaction that is just ending."""
    assert no_transaction_is_open(kafka, topic), f"a transaction is open in {topic.name}"
    return list(read_to_end(kafka, topic))


class AnyHeaders(list[tuple[str, bytes | None]]):
    """Headers that kafka-python sends, although some have no value: other clients send such ones.

    It goes through them to check their types, to estimate their size, to write them, and to count their bytes.
    """

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._times = 0

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        self._times += 1
        if self._times in (2, 3):
            return super().__iter__()
        return ((name, value or b"") for name, value in super().__iter__())


class AnyKey(Serializer):  # type: ignore[misc]
    """Keys as bytes, and "" for none: kafka-python takes no record that has neither key nor value from its caller."""

    def serialize(self, topic: str, headers: object, data: bytes | str) -> bytes | None:  # noqa: ARG002
        return data if isinstance(data, bytes) else None


def publish_foreign(
    kafka: KafkaSettings, topic: Topic, records: Sequence[Record], compression: str | None = None
) -> list[tuple[str, int, int]]:
    """Write records as another program may, whatever is in them, each in a batch of its own; where each of them is."""
    options = {"compression_type": compression, "max_request_size": 2**30, "key_serializer": AnyKey()}
    producer = KafkaProducer(**for_subscribers(kafka), **options)
    places = []
    for record in records:
        headers = AnyHeaders(record.headers)
        key = "" if record.key is None else record.key
        written = producer.send(topic.name, value=record.value, key=key, headers=headers).get(timeout=30)
        places.append((written.topic, written.partition, written.offset))
    producer.close()
    return places
