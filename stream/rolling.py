"""Closing the segments of topics, so that compaction reaches what is in them.

Compaction leaves the active segment alone, and a broker closes that only when something is appended to it: in a quiet
archive, what was deleted would stay for ever. So something is appended: a record in a transaction that is aborted. No
reader of committed records sees it, and compaction removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients, topic_configs

_TRANSACTIONAL_ID = "facestream-rolling"
_KEY = b"closes a segment"
_CONFIRM_S = 30.0

# While something is erased: a segment is closed by the next record, and compacted whatever its share of old records.
_AT_ONCE = {
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.0",
    "max.compaction.lag.ms": "1",
    "file.delete.delay.ms": "0",
}
# Then tombstones go as well, with the keys in them.
_NO_TOMBSTONES = {"delete.retention.ms": "0"}
_ROLL_EVERY_S = 1.0


def roll(kafka: KafkaSettings, topics: Iterable[Topic]) -> None:
    """Append to each partition of these topics what nobody reads. A segment that is old enough is closed by it.

    Raises KafkaError.
    """
    producer = clients.producer(kafka, transactional_id=_TRANSACTIONAL_ID, transaction_timeout_ms=30_000)
    try:
        clients.begin_transactions(producer)
        producer.begin_transaction()
        for topic in topics:
            for number in sorted(producer.partitions_for(topic.name)):
                producer.send(topic.name, key=_KEY, value=b"", partition=number)
        producer.flush(timeout=_CONFIRM_S)
        clients.bounded(producer.abort_transaction, _CONFIRM_S)
    finally:
        clients.close_producer(producer, within_s=5)


def rolled_every_s(kafka: KafkaSettings) -> float:
    """How often segments have to be closed so that topics lose what was deleted in time: see `wanted_config`."""
    return kafka.erased_within_h * 3600 / 4


def close_segments(kafka: KafkaSettings, topics: Iterable[Topic]) -> None:
    """Close the active segments of these topics now. For within `at_once`. Raises KafkaError."""
    sleep(2 * int(_AT_ONCE["segment.ms"]) / 1000)
    roll(kafka, topics)


@contextmanager
def at_once(kafka: KafkaSettings, topics: Iterable[Topic], *, tombstones: bool) -> Iterator[None]:
    """Within the context these topics lose at once what was deleted; with `tombstones`, the tombstones too.

    At the end they are configured as before. Raises Fatal where the broker refuses it.
    """
    wanted = _AT_ONCE | (_NO_TOMBSTONES if tombstones else {})
    names = [topic.name for topic in topics]
    admin = clients.admin(kafka)
    try:
        before = {name: _own_config(admin, name, wanted) for name in names}
        topic_configs.alter(admin, dict.fromkeys(names, wanted))
        try:
            yield
        finally:
            topic_configs.reset(admin, {name: [key for key in wanted if key not in before[name]] for name in names})
            topic_configs.alter(admin, before)
    finally:
        admin.close()


def roll_until(kafka: KafkaSettings, left: Callable[[], Collection[Topic]], within_s: float) -> bool:
    """Close segments every second of the topics that `left` returns, until there are none; False after so many seconds.

    For within `at_once`. Not of all topics: the broker compacts that first which has the largest share of new records,
    and would come to a large topic last.
    """
    deadline = monotonic() + within_s
    while topics := left():
        if monotonic() > deadline:
            return False
        # Where somebody else closes segments too, or the broker is busy: the next time.
        with suppress(KafkaError):
            roll(kafka, topics)
        sleep(_ROLL_EVERY_S)
    return True


def _own_config(admin: KafkaAdminClient, name: str, wanted: dict[str, str]) -> dict[str, str]:
    """What was set for this topic, of these names. What an erasure that was cut off has set counts as not set."""
    configs = topic_configs.topic_configs(admin, [name])[name]
    return {
        key: str(configs[key]["value"])
        for key, temporary in wanted.items()
        if "TOPIC" in str(configs[key]["config_source"]).upper() and str(configs[key]["value"]) != temporary
    }
