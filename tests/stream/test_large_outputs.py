"""An output that its topic does not take, as a real broker refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from kafka import KafkaAdminClient

from schemas.faces import ScanAnalysed
from schemas.topics import FACES, Topic
from settings import KafkaSettings
from stream import clients, topic_configs, topic_states
from stream.records import Output, Received, RestoredStep
from tests.builders.clock import wait_until
from tests.builders.kafka import publish
from tests.builders.transforms import dead_letters, running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream import echo


def test_of_outputs_the_one_that_its_topic_does_not_take_is_a_dead_letter_and_the_others_go_through(
    empty_kafka: KafkaSettings,
) -> None:
    kafka = empty_kafka

    def large(batch: Sequence[Received]) -> list[Output]:
        return [
            one.model_copy(update={"provenance": one.provenance.model_copy(update={"engine": "x" * 20_000})})
            if isinstance(one, ScanAnalysed) and one.scan_id == "large-7"
            else one
            for one in echo.echo(batch)
        ]

    publish(kafka, [scan(f"large-{number}") for number in range(20)])
    with closing(clients.admin(kafka)) as admin:
        topic_configs.alter(admin, {FACES.name: {"max.message.bytes": "10000"}})
        wait_until(lambda: max_message_bytes(admin, FACES) == "10000", "the topic is not configured")
        try:
            with running_transform(kafka, "large", lambda _: RestoredStep(large), max_records=16):
                wait_until_scans_are_read(kafka, "large", within_s=60)
        finally:
            topic_states.apply(admin, topic_states.topic_states(admin, [FACES]))
    assert times_analysed(kafka, "large-") == {f"large-{number}": 1 for number in range(20) if number != 7}
    (letter,) = dead_letters(kafka, "large")
    assert letter.original.key == b"large-7"
    assert letter.reason.startswith("the step of large failed (")


def max_message_bytes(admin: KafkaAdminClient, topic: Topic) -> str:
    return str(topic_configs.topic_configs(admin, [topic.name])[topic.name]["max.message.bytes"]["value"])
