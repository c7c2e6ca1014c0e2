"""A member of a consumer group is assigned its partitions, however short its polls are, and never another's."""

from __future__ import annotations

import threading
import time

import pytest

from schemas.topics import SCANS, TOPICS
from settings import KafkaSettings
from stream.member import Member
from tests.builders.clock import wait_until


@pytest.mark.parametrize("timeout_ms", [1, 5, 20, 100])
def test_a_member_whose_polls_end_in_the_middle_of_joining_joins_all_the_same(
    kafka: KafkaSettings, timeout_ms: int
) -> None:
    """It learns of its topics' partitions while it joins, and has to join again at once."""
    member = Member(kafka, f"short-polls-{timeout_ms}", "0", TOPICS, threading.Event())
    try:
        deadline = time.monotonic() + 20
        while len(member.assigned) < sum(topic.partitions for topic in TOPICS):
            assert time.monotonic() < deadline, "it was assigned nothing"
            member.poll(max_records=10, timeout_ms=timeout_ms)
    finally:
        member.close()


def test_no_partition_is_two_members_while_a_rebalance_is_under_way(kafka: KafkaSettings) -> None:
    """The client has the group's new generation by then, and still the partitions of before."""
    stop = threading.Event()
    first, second = (Member(kafka, "rebalance", name, [SCANS], stop) for name in "ab")
    try:
        wait_until(lambda: polled(first).assigned, "it was assigned nothing", every_s=0)
        first.take_assignment()
        wait_until(lambda: polled(second) and polled(first).reassigned, "the other one does not join", every_s=0)
        # From here on the first one is busy. Its client goes on.
        wait_until(lambda: polled(second, timeout_ms=100).assigned, "the other one was assigned nothing", every_s=0)
        assert first.assigned == []
        stop.set()
        assert first.take_assignment() == {}
        assert first.continue_from({}) == ({}, [])
        members = (first, second)
        wait_until(lambda: [] not in [polled(one).assigned for one in members], "one was assigned nothing", every_s=0)
        assert not {*first.assigned} & {*second.assigned}
    finally:
        first.close()
        second.close()


def polled(member: Member, timeout_ms: int = 1) -> Member:
    member.poll(max_records=10, timeout_ms=timeout_ms)
    return member
