"""Decisions on a real broker: all are read, and a new one is checked and published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from decisions.conflicts import AlreadyHolds, ConflictError
from producers.decisions import publish_decision, read_decisions
from producers.publisher import Publisher
from schemas.decisions import Decision, NameRejected
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision, named, undone


@pytest.fixture
def face_id() -> str:
    """A face of the test's own: the topics are shared by the tests of this module."""
    return uuid4().hex


@pytest.fixture
def labels(kafka: KafkaSettings) -> Iterator[Publisher]:
    """Whoever else writes to `labels`."""
    with Publisher(kafka, lambda: NOON, "decisions", "") as publisher:
        yield publisher


def published(kafka: KafkaSettings) -> list[Decision]:
    return [received.message for received in read_to_end(kafka, LABELS) if isinstance(received.message, Decision)]


def test_a_decision_is_on_the_topic_once_it_is_decided(kafka: KafkaSettings, face_id: str) -> None:
    decision = named(1, face_id, "grace", decision_id=uuid4().hex)
    decisions = read_decisions(kafka)
    assert publish_decision(kafka, decisions, decision, lambda: NOON) == decision
    assert decisions.labels(face_id).hard == read_decisions(kafka).labels(face_id).hard == "grace"
    assert published(kafka)[-1] == decision


def test_what_conflicts_or_is_so_already_is_not_published(kafka: KafkaSettings, face_id: str) -> None:
    publish_decision(kafka, read_decisions(kafka), named(1, face_id, "grace", decision_id=uuid4().hex), lambda: NOON)
    before = published(kafka)
    with pytest.raises(AlreadyHolds):
        publish_decision(
            kafka, read_decisions(kafka), named(2, face_id, "grace", decision_id=uuid4().hex), lambda: NOON
        )
    rejection = a_decision(NameRejected, 2, face_id=face_id, label_id="grace", decision_id=uuid4().hex)
    with pytest.raises(ConflictError):
        publish_decision(kafka, read_decisions(kafka), rejection, lambda: NOON)
    assert published(kafka) == before


def test_what_was_decided_on_a_clock_that_is_ahead_can_be_undone_and_replaced(
    kafka: KafkaSettings, face_id: str
) -> None:
    ahead = named(50, face_id, "grace", decision_id=uuid4().hex)
    publish_decision(kafka, read_decisions(kafka), ahead, lambda: NOON)
    renamed = publish_decision(
        kafka, read_decisions(kafka), named(1, face_id, "eileen", decision_id=uuid4().hex), lambda: NOON
    )
    assert renamed.decided_at == ahead.decided_at + timedelta(microseconds=1)
    undo = undone(2, renamed.decision_id).model_copy(update={"decision_id": uuid4().hex})
    publish_decision(kafka, read_decisions(kafka), undo, lambda: NOON)
    assert read_decisions(kafka).labels(face_id).hard == "grace"


def test_a_decision_whose_record_was_deleted_was_never_made(
    kafka: KafkaSettings, labels: Publisher, face_id: str
) -> None:
    decision = named(1, face_id, "grace", decision_id=uuid4().hex)
    labels.send(decision)
    labels.send(Tombstone(LABELS, decision.decision_id))
    labels.flush()
    assert read_decisions(kafka).history(face_id) == []
