"""What the loop of a consumer reports of itself, on a real broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from kafka import KafkaProducer
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from errors import Retriable
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS, FACES, SCANS
from settings import KafkaSettings
from stream import clients
from stream.reading import read_to_end
from stream.records import Cause, Headers, Output, Received, Rejected, RestoredStep, scan_of
from telemetry import metrics
from telemetry.health import health
from tests.builders.catalogue import analysed
from tests.builders.clock import now, wait_until
from tests.builders.transforms import running_transform, scan, wait_until_scans_are_read

GROUP = "measured"
VALUE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_loop_counts_what_it_does_and_hands_traces_on(empty_kafka: KafkaSettings) -> None:
    def step(batch: Sequence[Received]) -> list[Output]:
        return [analysis_or_rejection(received) for received in batch]

    producer = clients.producer(empty_kafka)
    for scan_id in ("good/1", "good/2", "bad/1"):
        publish(producer, scan_id)
    producer.send(SCANS.name, key=b"x", value=b"no JSON").get()
    producer.close()
    with capture_logs() as lines, running_transform(empty_kafka, GROUP, lambda _: RestoredStep(step)):
        wait_until_scans_are_read(empty_kafka, GROUP)
        wait_until(
            lambda: sample("facestream_records_read_total", consumer=GROUP, topic=SCANS.name) == 4, "not all counted"
        )
        assert health.is_alive and health.is_ready
    assert sample("facestream_records_published_total", consumer=GROUP, topic=FACES.name) == 2
    assert sample("facestream_records_published_total", consumer=GROUP, topic=DEAD_LETTERS.name) == 2
    assert sample("facestream_dead_letters_total", consumer=GROUP, cause="invalid") == 1
    assert sample("facestream_dead_letters_total", consumer=GROUP, cause="scan") == 1
    assert sample("facestream_taking_part", consumer=GROUP) == 1
    assert not sample("facestream_snapshot_timestamp_seconds", consumer=GROUP)
    assert sample("facestream_step_duration_seconds_count", consumer=GROUP) >= 1
    assert sample("facestream_commit_duration_seconds_count", consumer=GROUP) >= 1
    assert sample("facestream_batch_records_sum", consumer=GROUP) == 4
    headers = {
        scan_of(it.message): dict(it.record.headers).get("traceparent") for it in read_to_end(empty_kafka, FACES)
    }
    assert headers == {"good/1": VALUE, "good/2": VALUE}
    letters = [line for line in lines if line["event"] == "dead letter"]
    assert sorted(line.get("trace_id", "") for line in letters) == ["", "0af7651916cd43dd8448eb211c80319c"]
    assert not [line for line in lines if "bad/1" in str(line)]


def test_a_scan_that_waits_keeps_its_trace_until_it_is_analysed(empty_kafka: KafkaSettings) -> None:
    waiting: list[str] = []
    is_away = threading.Event()
    is_away.set()

    def step(batch: Sequence[Received]) -> list[Output]:
        waiting.extend(scan_of(received.message) or "" for received in batch)
        return []

    def idle(metadata: str) -> tuple[list[Output], str]:
        done = [] if is_away.is_set() else [analysed(scan_id) for scan_id in waiting]
        if done:
            waiting.clear()
        return list(done), metadata

    producer = clients.producer(empty_kafka)
    publish(producer, "waits/1")
    step_of_detect = RestoredStep(step, idle=idle, held=lambda: list(waiting))
    with running_transform(empty_kafka, GROUP, lambda _: step_of_detect, max_records=1):
        wait_until(lambda: waiting == ["waits/1"], "it was not read", 30)
        # Another batch comes in between.
        publish(producer, "waits/2", headers=())
        wait_until(lambda: len(waiting) == 2, "it was not read", 30)
        is_away.clear()
        wait_until(lambda: len(list(read_to_end(empty_kafka, FACES))) == 2, "they are not analysed", 30)
    producer.close()
    headers = {
        scan_of(it.message): dict(it.record.headers).get("traceparent") for it in read_to_end(empty_kafka, FACES)
    }
    assert headers == {"waits/1": VALUE, "waits/2": None}


def test_while_its_state_is_restored_a_member_takes_no_part_and_the_age_of_its_snapshots_counts_from_then(
    empty_kafka: KafkaSettings,
) -> None:
    group = "index-measured"
    restored = threading.Event()
    metrics.taking_part.labels(group).set(1)
    began = time.time()

    def restore(_: object) -> RestoredStep:
        restored.wait(60)
        return RestoredStep(lambda _: [], save=lambda _: None)

    with running_transform(empty_kafka, group, restore):
        wait_until(lambda: sample("facestream_taking_part", consumer=group) == 0, "it takes part", 30)
        restored.set()
        wait_until(lambda: sample("facestream_taking_part", consumer=group) == 1, "it takes no part", 30)
        assert sample("facestream_snapshot_timestamp_seconds", consumer=group) >= began


def test_a_consumer_is_not_ready_while_it_waits_for_its_store(empty_kafka: KafkaSettings) -> None:
    is_away = threading.Event()
    is_away.set()

    def step(_: Sequence[Received]) -> list[Output]:
        if is_away.is_set():
            raise Retriable("the store is away")
        return []

    producer = clients.producer(empty_kafka)
    publish(producer, "waiting/1")
    producer.close()
    with running_transform(empty_kafka, GROUP, lambda _: RestoredStep(step)):
        wait_until(lambda: not health.is_ready and health._waits_for, "it is ready", 30)
        is_away.clear()
        wait_until(lambda: health.is_ready, "it is not ready", 60)


def publish(producer: KafkaProducer, scan_id: str, headers: Headers = (("traceparent", VALUE),)) -> None:
    record = encode(scan(scan_id), event_id=scan_id, time=now())
    producer.send(SCANS.name, key=record.key, value=record.value, headers=[*record.headers, *headers]).get()


def analysis_or_rejection(received: Received) -> Output:
    scan_id = scan_of(received.message) or ""
    return Rejected(received, "no picture", Cause.SCAN) if scan_id.startswith("bad") else analysed(scan_id)
