"""A member of a consumer group is assigned its partitions, however short its polls are."""

from __future__ import annotations

import threading
import time

import pytest

from schemas.topics import TOPICS
from settings import KafkaSettings
from stream.member import Member


@pytest.mark.parametrize("timeout_ms", [1, 5, 20, 100])
def test_a_member_whose_polls_end_in_the_middle_of_joining_joins_all_the_same(
    kafka: KafkaSettings, timeout_ms: int
) -> None:
    """It learns of its topics' partitions while it joins, and has to join again at once."""
    member = Member(kafka, f"short-polls-{timeout_ms}", "0", TOPICS, threading.Event())
    try:
        deadline = time.monotonic() + 20
        while len(member.positions()) < sum(topic.partitions for topic in TOPICS):
            assert time.monotonic() < deadline, "it was assigned nothing"
            member.poll(max_records=10, timeout_ms=timeout_ms)
    finally:
        member.close()
