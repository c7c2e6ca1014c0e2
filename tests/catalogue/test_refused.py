"""What the tables refuse, between a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import pytest

from consumers import catalogue
from errors import Fatal
from settings import DatabaseSettings, KafkaSettings, Settings
from tests.builders.catalogue import assigned
from tests.builders.kafka import publish, running
from tests.builders.transforms import dead_letters


def test_what_the_tables_refuse_is_a_dead_letter_also_where_that_is_a_flood(
    empty_kafka: KafkaSettings, database: DatabaseSettings
) -> None:
    kafka = empty_kafka.model_copy(update={"most_dead_letters": 5})
    long_id = "ö" * 1_000
    publish(kafka, [assigned(f"{long_id}{number}", "s", "c") for number in range(20)])
    with (
        pytest.raises(Fatal, match=r"catalogue stopped: .* records of the last minute would be dead letters"),
        running(Settings(kafka=kafka, database=database), catalogue.run) as (run,),
    ):
        run.result(timeout=60)
    keys = {(letter.original.key or b"").decode() for letter in dead_letters(kafka, catalogue.GROUP)}
    assert keys >= {f"{long_id}{number}" for number in range(20)}
