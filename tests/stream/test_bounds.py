"""What a member is given at once, and how long it may take: nothing grows without bound, and it stays in its group."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.topics import SCANS
from settings import KafkaSettings
from stream import clients
from stream.member import Member
from stream.records import Output, Received, RestoredStep
from tests.builders.kafka import publish
from tests.builders.transforms import running_transform, scan, wait_until_scans_are_read

MEGABYTE = 10**6


def key_of(received: Received) -> str:
    return (received.record.key or b"").decode()


def test_a_step_that_takes_longer_than_the_poll_interval_keeps_its_partitions_and_is_done_once(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = clients.consumer

    def impatient(kafka: KafkaSettings, **options: Any) -> Any:  # noqa: ANN401
        return consumer(kafka, **options, **({"max_poll_interval_ms": 2_000} if "group_id" in options else {}))

    monkeypatch.setattr(clients, "consumer", impatient)
    publish(kafka, [scan("slow/1")])
    seen: list[str] = []
    restored: list[object] = []

    def step(batch: Sequence[Received]) -> Sequence[Output]:
        seen.extend(key_of(received) for received in batch if key_of(received).startswith("slow/"))
        time.sleep(5)
        return ()

    def restore_step(positions: object) -> RestoredStep:
        restored.append(positions)
        return RestoredStep(step)

    with running_transform(kafka, "slow", restore_step):
        wait_until_scans_are_read(kafka, "slow")
    assert seen == ["slow/1"]
    assert len(restored) == 1, "it was restored again: it lost its partitions"


def test_a_flood_is_read_in_batches_of_at_most_so_many_records_and_so_many_bytes(kafka: KafkaSettings) -> None:
    """Records of a megabyte and of ten: the client holds what the broker sends at once, and that is bounded."""
    notes = {f"note {number}": "x" * (MEGABYTE - 1) for number in range(10)}
    first = {"note": notes["note 1"]}
    publish(kafka, [scan("flood/1").model_copy(update={"metadata": first}) for _ in range(20)])
    publish(kafka, [scan("flood/1").model_copy(update={"metadata": notes}) for _ in range(5)])
    publish(kafka, [scan(f"flood/{number}") for number in range(2, 500)])
    member = Member(kafka, "flood", "0", [SCANS], threading.Event())
    try:
        sizes: list[tuple[int, int]] = []
        deadline = time.monotonic() + 60
        while sum(count for count, _ in sizes) < 523 and time.monotonic() < deadline:
            if member.reassigned:
                positions, _ = member.continue_from(member.take_assignment())
                member.seek(positions)
            batch = member.poll(max_records=100)
            received = [one for one in batch.received if key_of(one).startswith("flood/")]
            sizes.append((len(received), sum(len(one.record.value or b"") for one in received)))
    finally:
        member.close()
    assert sum(count for count, _ in sizes) == 523
    assert max(count for count, _ in sizes) <= 100
    # At most one that is larger stands alone, and what two fetches brought is one batch at most.
    assert max(size for _, size in sizes) <= 2 * clients.FETCH_BYTES + 10 * MEGABYTE


def test_a_client_looks_for_a_broker_that_was_away_every_second(kafka: KafkaSettings) -> None:
    """Else it would wait for up to half a minute after the broker is back."""
    reader, producer, admin = clients.consumer(kafka), clients.producer(kafka), clients.admin(kafka)
    try:
        assert {client.config["reconnect_backoff_max_ms"] for client in (reader, producer, admin)} == {1_000}
    finally:
        reader.close()
        producer.close()
        admin.close()
