"""The contract as subscribers have it: the documents in docs/contract, and whether a record is as they say."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from jsonschema import Draft7Validator, FormatChecker

from settings import KafkaSettings

CONTRACT = Path(__file__).parents[2] / "docs" / "contract"
DEAD_LETTER = "dead-letter"


def _is_a_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_FORMATS = FormatChecker()
_FORMATS.checks("date-time", raises=ValueError)(_is_a_time)


@cache
def document() -> Any:  # noqa: ANN401
    """The AsyncAPI document."""
    return json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Validators:
    headers: Draft7Validator
    payload: Draft7Validator
    named: frozenset[str]


@cache
def _validators(name: str) -> _Validators:
    message = document()["components"]["messages"][name]
    payload = message["payload"]
    if "$ref" in payload:
        payload = json.loads((CONTRACT / payload["$ref"]).read_text(encoding="utf-8"))
    return _Validators(
        Draft7Validator(message["headers"], format_checker=_FORMATS),
        Draft7Validator(payload, format_checker=_FORMATS),
        frozenset(message["headers"]["properties"]),
    )


@cache
def _channel_of(topic: str) -> Any:  # noqa: ANN401
    """The channel of a topic, of any generation; None where the document has none."""
    for channel in document()["channels"].values():
        if re.fullmatch(channel["address"].replace("{generation}", "[a-z0-9]+"), topic):
            return channel
    return None


def kind_of(record: Message) -> str:
    """The name of the record's message in the document."""
    headers = _headers(record)
    return DEAD_LETTER if "dead_letter_topic" in headers else headers["ce_type"]


def _headers(record: Message) -> dict[str, str]:
    pairs = cast("list[tuple[str, bytes | None]]", record.headers() or [])
    return {name: (value or b"").decode() for name, value in pairs}


def assert_as_in_the_contract(record: Message) -> None:
    """Its topic has this message, and key, headers and value are as the document says; it has no further headers."""
    kind = kind_of(record)
    assert kind in _channel_of(str(record.topic()))["messages"], (record.topic(), kind)
    validators = _validators(kind)
    headers = _headers(record)
    validators.headers.validate(headers)
    if kind == DEAD_LETTER:
        return
    assert record.key(), kind
    validators.payload.validate(None if record.value() is None else json.loads(record.value() or b""))
    assert headers.keys() <= validators.named, kind


def read_all(kafka: KafkaSettings) -> list[Message]:
    """All committed records of all topics, which the document has, as a program based on librdkafka reads them."""
    assert kafka.sasl_password is not None
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "security.protocol": kafka.security_protocol,
            "sasl.mechanisms": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
            "group.id": "contract",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    try:
        known = consumer.list_topics(timeout=10).topics
        # Kafka's own begin with underscores.
        topics = [topic for topic in known if not topic.startswith("__")]
        assert [topic for topic in topics if _channel_of(topic) is None] == []
        partitions = [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]
        consumer.assign(partitions)
        found, ended = [], 0
        while ended < len(partitions):
            record = consumer.poll(10)
            assert record is not None, "the broker does not answer"
            error = record.error()
            if error is None:
                found.append(record)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended += 1
        return found
    finally:
        consumer.close()


def assert_all_as_in_the_contract(kafka: KafkaSettings) -> Counter[str]:
    """Every record of every topic is as the document says; how many there are of each message."""
    records = read_all(kafka)
    for record in records:
        assert_as_in_the_contract(record)
    return Counter(map(kind_of, records))
