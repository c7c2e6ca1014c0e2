"""A compacted topic read as a whole, from a real broker."""

from __future__ import annotations

import pytest

from schemas.topics import ASSIGNMENTS
from settings import KafkaSettings
from stream import clients
from stream.reading import latest_values


def test_a_compacted_topic_comes_to_the_last_value_of_each_key(
    kafka: KafkaSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    producer = clients.producer(kafka, transactional_id="writer")
    producer.init_transactions()
    committed = [(b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"\xff", b"1"), (b"a", b"2"), (b"b", None), (b"d", b"1")]
    aborted = [(b"c", b"3"), (b"e", b"3")]
    for records, end in (
        (committed[:3], producer.commit_transaction),
        (aborted, producer.abort_transaction),
        (committed[3:], producer.commit_transaction),
    ):
        producer.begin_transaction()
        for key, value in records:
            producer.send(ASSIGNMENTS.name, key=key, value=value)
        end()
    producer.close()
    assert latest_values(kafka, ASSIGNMENTS) == {"a": b"2", "c": b"1", "d": b"1"}
    assert "the key is not UTF-8" in capfd.readouterr().out
