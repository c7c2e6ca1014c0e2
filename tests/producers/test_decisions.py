"""An archivist's desk on a real broker: what was decided is read, checked, and added to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from decisions.conflicts import AlreadySo, ConflictError
from errors import UserError
from producers.decisions import decide, decision_of, read_decisions, shortened
from producers.publisher import Publisher
from schemas.decisions import Decision, DecisionUndone, NameRejected
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision, decisions_from, named, undone


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
    return [it.message for it in read_to_end(kafka, LABELS) if isinstance(it.message, Decision)]


def test_a_decision_is_on_the_topic_once_it_is_decided(kafka: KafkaSettings, face_id: str) -> None:
    decision = named(1, face_id, "grace", decision_id=uuid4().hex)
    held = read_decisions(kafka)
    assert decide(kafka, held, decision, lambda: NOON) == decision
    assert held.labels(face_id).hard == read_decisions(kafka).labels(face_id).hard == "grace"
    assert published(kafka)[-1] == decision


def test_what_conflicts_or_is_so_already_is_not_published(kafka: KafkaSettings, face_id: str) -> None:
    decide(kafka, read_decisions(kafka), named(1, face_id, "grace", decision_id=uuid4().hex), lambda: NOON)
    before = published(kafka)
    with pytest.raises(AlreadySo):
        decide(kafka, read_decisions(kafka), named(2, face_id, "grace", decision_id=uuid4().hex), lambda: NOON)
    rejection = a_decision(NameRejected, 2, face_id=face_id, label_id="grace", decision_id=uuid4().hex)
    with pytest.raises(ConflictError):
        decide(kafka, read_decisions(kafka), rejection, lambda: NOON)
    assert published(kafka) == before


def test_what_was_decided_on_a_clock_that_is_ahead_can_be_undone_and_replaced(
    kafka: KafkaSettings, face_id: str
) -> None:
    ahead = named(50, face_id, "grace", decision_id=uuid4().hex)
    decide(kafka, read_decisions(kafka), ahead, lambda: NOON)
    renamed = decide(kafka, read_decisions(kafka), named(1, face_id, "eileen", decision_id=uuid4().hex), lambda: NOON)
    assert renamed.decided_at == ahead.decided_at + timedelta(microseconds=1)
    undo = undone(2, renamed.decision_id).model_copy(update={"decision_id": uuid4().hex})
    decide(kafka, read_decisions(kafka), undo, lambda: NOON)
    assert read_decisions(kafka).labels(face_id).hard == "grace"


def test_a_decision_whose_record_was_deleted_was_never_made(
    kafka: KafkaSettings, labels: Publisher, face_id: str
) -> None:
    decision = named(1, face_id, "grace", decision_id=uuid4().hex)
    labels.send(decision)
    labels.send(Tombstone(LABELS, decision.decision_id))
    labels.flush()
    assert read_decisions(kafka).history(face_id) == []


def test_a_decision_is_found_by_the_beginning_of_its_id() -> None:
    held = decisions_from(named(1, "f", "grace", decision_id="abc1"), named(2, "f", "eileen", decision_id="abd2"))
    assert decision_of(held, "abc").decision_id == "abc1"
    with pytest.raises(UserError, match="'ab' is the beginning of more than one decision's id, abc1 and abd2 among"):
        decision_of(held, "ab")
    with pytest.raises(UserError, match="there is no decision 'x'"):
        decision_of(held, "x")
    assert shortened(held, "abc1") == "abc1"
    held.take([named(4, "f", "grace", decision_id=f"1234567{end}") for end in ("80", "89", "9a")])
    assert [shortened(held, f"1234567{end}") for end in ("80", "89", "9a")] == ["123456780", "123456789", "12345679"]
    held.take([named(3, "f", "grace", decision_id="ab")])
    assert decision_of(held, "ab").decision_id == "ab"


def test_the_kind_of_an_undo_is_undone() -> None:
    assert DecisionUndone.type.split(".")[2] == undone(1, "x").kind == "undone"
