"""A member does not do again what the broker has confirmed, also where the broker gives back earlier offsets."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import SCANS
from settings import KafkaSettings
from stream import clients
from stream.confirmed import ConfirmedOffsets
from stream.continuity import beside
from stream.member import Member
from stream.records import RestoredStep
from tests.builders.clock import wait_until
from tests.builders.kafka import publish
from tests.builders.transforms import running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream import echo

PARTITION = TopicPartition("scans", 0)
TOPIC_ID, OTHER_ID = "0" * 36, "1" * 36


def offset(number: int, topic_id: str = TOPIC_ID) -> OffsetAndMetadata:
    return OffsetAndMetadata(number, beside(topic_id, ""), -1)


@pytest.mark.parametrize(
    ("found", "topic_id", "expected"),
    [
        (offset(3), TOPIC_ID, offset(5)),
        (None, TOPIC_ID, offset(5)),
        (offset(5), TOPIC_ID, offset(5)),
        (offset(7), TOPIC_ID, offset(7)),
        (offset(3, OTHER_ID), OTHER_ID, offset(3, OTHER_ID)),
        (None, OTHER_ID, None),
    ],
)
def test_the_later_one_of_found_and_confirmed_counts_while_the_topic_is_the_same(
    found: OffsetAndMetadata | None, topic_id: str, expected: OffsetAndMetadata | None
) -> None:
    confirmed = ConfirmedOffsets("detect-0")
    confirmed.note({PARTITION: offset(5)})
    found_now = confirmed.not_earlier({PARTITION: found}, {"scans": topic_id})
    assert found_now == ({} if expected is None else {PARTITION: expected})


def test_of_a_partition_without_a_commit_the_brokers_offset_counts() -> None:
    assert ConfirmedOffsets("detect-0").not_earlier({PARTITION: offset(3)}, {"scans": TOPIC_ID}) == {
        PARTITION: offset(3)
    }


def test_a_member_that_is_given_back_earlier_offsets_does_nothing_twice(kafka: KafkaSettings) -> None:
    group = "earlier-offsets"
    publish(kafka, [scan(f"earlier-{number}") for number in range(40)])
    with running_transform(kafka, group, lambda _: RestoredStep(echo.echo)) as run:
        wait_until_scans_are_read(kafka, group)
        with closing(clients.producer(kafka, transactional_id=group)) as producer:
            # As a broker has come back with; Kafka takes them from a client that is no member.
            producer.init_transactions()
            producer.begin_transaction()
            partitions = [TopicPartition(SCANS.name, number) for number in range(SCANS.partitions)]
            producer.send_offsets_to_transaction({one: OffsetAndMetadata(0, "", -1) for one in partitions}, group)
            producer.commit_transaction()
        # A rebalance: it is assigned other partitions, and asks the broker how far they were read.
        other = Member(kafka, group, "1", [SCANS], threading.Event())
        wait_until(lambda: other.poll(10).positions or other.assigned, "the other one was assigned nothing")
        other.close()
        publish(kafka, [scan("earlier-last")])
        wait_until(lambda: times_analysed(kafka, "earlier-last") or run.done(), "it does not go on", within_s=60)
    assert set(times_analysed(kafka, "earlier-").values()) == {1}
