"""The groups that a broker lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, GroupAuthorizationFailedError, KafkaError

from errors import Fatal
from settings import KafkaSettings
from stream import clients
from stream.groups import known_groups


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[KafkaError]:
    """Errors that the broker answers with before it lists its groups."""
    answers: list[KafkaError] = []
    ask: Callable[..., Any] = KafkaAdminClient.list_groups

    def list_groups(self: KafkaAdminClient) -> Any:  # noqa: ANN401
        if answers:
            raise answers.pop()
        return ask(self)

    monkeypatch.setattr(KafkaAdminClient, "list_groups", list_groups)
    return answers


def test_the_question_is_repeated_while_the_broker_loads_its_groups(
    kafka: KafkaSettings, refusals: list[KafkaError]
) -> None:
    consumer = clients.consumer(kafka, group_id="reader")
    consumer.subscribe(["scans"])
    consumer.poll(5000)
    refusals += [CoordinatorLoadInProgressError(), CoordinatorLoadInProgressError()]
    assert "reader" in known_groups(kafka)
    assert refusals == []
    consumer.close()


def test_a_broker_that_refuses_is_reported_in_one_line(kafka: KafkaSettings, refusals: list[KafkaError]) -> None:
    refusals.append(GroupAuthorizationFailedError())
    with pytest.raises(Fatal, match=r"^the Kafka broker at [^\n]* does not list its groups \(.*Authorization"):
        known_groups(kafka)
