"""Decisions on a real broker: all are read, and new ones are checked and published."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from decisions.actions import Link, Merge, Name, Reject, Rename, SayNotAFace, Undo
from decisions.beliefs import DecidedMeanwhile, face_belief, person_belief
from decisions.conflicts import ConflictError
from decisions.holding import Decisions
from errors import Fatal, UserError
from producers.decisions import DecisionWriter, read_decisions
from producers.publisher import Publisher
from schemas.decisions import Decision
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream import clients
from stream.reading import read_to_end
from stream.topic_states import apply, topic_states
from tests.builders.clock import NOON
from tests.builders.decisions import named


@pytest.fixture
def face_id() -> str:
    """A face of the test's own: the topics are shared by the tests of this module."""
    return uuid4().hex


@pytest.fixture
def grace() -> str:
    """The label id of a person of the test's own."""
    return f"grace-{uuid4().hex}"


@pytest.fixture
def labels(kafka: KafkaSettings) -> Iterator[Publisher]:
    """Whoever else writes to `labels`, and checks nothing."""
    with Publisher(kafka, lambda: NOON, "decisions", "") as publisher:
        yield publisher


@pytest.fixture
def ann(kafka: KafkaSettings) -> Iterator[DecisionWriter]:
    with DecisionWriter(kafka, lambda: NOON) as writer:
        yield writer


@pytest.fixture
def bob(kafka: KafkaSettings) -> Iterator[DecisionWriter]:
    """Another process, for all that Ann's knows."""
    with DecisionWriter(kafka, lambda: NOON) as writer:
        yield writer


def published(kafka: KafkaSettings) -> list[Decision]:
    return [received.message for received in read_to_end(kafka, LABELS) if isinstance(received.message, Decision)]


def name(face_id: str, label_id: str) -> Name:
    return Name(face_id=face_id, label_id=label_id, name=label_id.title())


def test_a_decision_is_on_the_topic_once_it_is_decided(
    kafka: KafkaSettings, ann: DecisionWriter, face_id: str, grace: str
) -> None:
    decided = ann.decide([name(face_id, grace)], "Ann", "the caption")
    (decision,) = decided.decisions
    assert decided.texts == (f"face {face_id} is {grace.title()}",)
    assert ann.decisions.labels(face_id).hard == read_decisions(kafka).labels(face_id).hard == grace
    assert published(kafka)[-1] == decision
    assert (decision.author, decision.note, decision.decided_at) == ("Ann", "the caption", NOON)


def test_what_conflicts_or_is_so_already_is_not_published(
    kafka: KafkaSettings, ann: DecisionWriter, face_id: str, grace: str
) -> None:
    (naming,) = ann.decide([name(face_id, grace)], "Ann").decisions
    before = published(kafka)
    again = ann.decide([name(face_id, grace)], "Bob")
    assert (again.decisions, again.texts) == ((), ())
    assert again.already[0].startswith(f"face {face_id} is {grace.title()} (Ann, 2026-01-02")
    with pytest.raises(ConflictError) as raised:
        ann.decide([Reject(face_id=face_id, label_id=grace)], "Bob")
    assert (raised.value.decision.kind, raised.value.earlier) == ("name-rejected", (naming,))
    assert published(kafka) == before


@pytest.fixture
def takes_small_records_only(kafka: KafkaSettings) -> Iterator[None]:
    """The broker refuses records of `labels` beyond 2 kB."""
    labels = ConfigResource(ConfigResourceType.TOPIC, LABELS.name, configs={"max.message.bytes": "2000"})
    with closing(clients.admin(kafka)) as admin:
        admin.alter_configs([labels])
        yield
        apply(admin, topic_states(admin, [LABELS]))


@pytest.mark.usefixtures("takes_small_records_only")
def test_what_the_broker_refuses_is_not_called_the_doing_of_others(
    kafka: KafkaSettings, ann: DecisionWriter, face_id: str, grace: str
) -> None:
    before = published(kafka)
    with pytest.raises(Fatal, match=r"or the broker refuses it \(.*MessageSizeTooLarge") as raised:
        ann.decide([name(face_id, grace)], "Ann", "a long note " * 1_000)
    assert "\n" not in str(raised.value)
    assert published(kafka) == before
    assert ann.decide([name(face_id, grace)], "Ann", "a short one").decisions


def test_of_several_actions_all_are_published_or_none(
    kafka: KafkaSettings, ann: DecisionWriter, face_id: str, grace: str
) -> None:
    faces = [f"{face_id}-{number}" for number in range(40)]
    before = published(kafka)
    with pytest.raises(ConflictError):
        ann.decide([*(name(face, grace) for face in faces), SayNotAFace(face_id=faces[-1])], "Ann")
    with pytest.raises(UserError, match="there is no person nobody-at-all"):
        ann.decide([name(faces[0], grace), Name(face_id=faces[1], label_id="nobody-at-all")], "Ann")
    assert published(kafka) == before
    assert [ann.decisions.labels(face).hard for face in faces] == [None] * 40
    decided = ann.decide([*(name(face, grace) for face in faces), name(faces[0], grace)], "Ann")
    assert (len(decided.decisions), len(decided.already)) == (40, 1)
    ann.decide([Undo(decision_id=it.decision_id) for it in reversed(decided.decisions)], "Ann")
    held = read_decisions(kafka)
    assert {held.labels(face).hard for face in faces} == {None}


def test_the_second_of_two_who_saw_the_same_face_is_refused_with_both_decisions(
    kafka: KafkaSettings, ann: DecisionWriter, bob: DecisionWriter, face_id: str, grace: str
) -> None:
    seen_by_ann, seen_by_bob = face_belief(ann.decisions, face_id), face_belief(bob.decisions, face_id)
    (first,) = ann.decide([name(face_id, grace)], "Ann", believed=[seen_by_ann]).decisions
    eileen = f"eileen-{face_id}"
    with pytest.raises(DecidedMeanwhile) as raised:
        bob.decide([name(face_id, eileen)], "Bob", believed=[seen_by_bob])
    refused = raised.value
    assert (refused.other, refused.attempted.kind, refused.attempted.author) == (first, "named", "Bob")
    assert refused.other_text.startswith(f"face {face_id} is {grace.title()} (Ann, 2026-01-02, decision ")
    assert refused.attempted_text == f"face {face_id} is {eileen.title()}"
    assert read_decisions(kafka).labels(face_id).hard == grace
    # Who has seen the first decision may decide otherwise.
    (second,) = bob.decide([name(face_id, eileen)], "Bob", believed=[face_belief(bob.decisions, face_id)]).decisions
    assert second.decided_at > first.decided_at
    assert read_decisions(kafka).labels(face_id).hard == eileen


def test_of_several_faces_the_one_that_was_decided_meanwhile_is_held_beside_its_own_decision(
    ann: DecisionWriter, bob: DecisionWriter, face_id: str, grace: str
) -> None:
    faces = [f"{face_id}-{number}" for number in range(3)]
    seen = [face_belief(bob.decisions, face) for face in faces]
    (first,) = ann.decide([SayNotAFace(face_id=faces[1])], "Ann").decisions
    with pytest.raises(DecidedMeanwhile) as raised:
        bob.decide([name(face, grace) for face in faces], "Bob", believed=seen)
    assert (raised.value.other, raised.value.attempted.face_ids) == (first, (faces[1],))
    (naming,) = ann.decide([name(faces[0], grace)], "Ann").decisions
    # An undo names no face: what was believed of one is checked all the same.
    with pytest.raises(DecidedMeanwhile):
        bob.decide([Undo(decision_id=first.decision_id)], "Bob", believed=[seen[1]])
    # Several decisions about one face at once are made with what was believed before all of them.
    seen = [face_belief(ann.decisions, face) for face in (faces[0], faces[2])]
    undo, link = Undo(decision_id=naming.decision_id), Link(face_id=faces[0], other_face_id=faces[2])
    ann.decide([undo, link, name(faces[0], grace)], "Ann", believed=seen)


def test_an_undo_or_a_removed_record_meanwhile_is_noticed_as_well(
    ann: DecisionWriter, bob: DecisionWriter, labels: Publisher, face_id: str, grace: str
) -> None:
    (naming,) = ann.decide([name(face_id, grace)], "Ann").decisions
    bob.refresh()
    seen = face_belief(bob.decisions, face_id)
    (undo,) = ann.decide([Undo(decision_id=naming.decision_id)], "Ann").decisions
    with pytest.raises(DecidedMeanwhile) as raised:
        bob.decide([SayNotAFace(face_id=face_id)], "Bob", believed=[seen])
    assert raised.value.other == undo
    for decision_id in (naming.decision_id, undo.decision_id):
        labels.send(Tombstone(LABELS, decision_id))
    labels.flush()
    with pytest.raises(DecidedMeanwhile, match="an earlier decision is no longer there") as raised:
        bob.decide([SayNotAFace(face_id=face_id)], "Bob", believed=[seen])
    assert raised.value.other is None


def test_a_person_who_was_renamed_meanwhile_is_not_renamed_unseen_but_a_face_of_them_stays_theirs(
    ann: DecisionWriter, bob: DecisionWriter, face_id: str, grace: str
) -> None:
    other, other_face = f"other-{face_id}", f"{face_id}-2"
    ann.decide([name(face_id, grace), name(other_face, other)], "Ann")
    bob.refresh()
    seen, seen_face = person_belief(bob.decisions, grace), face_belief(bob.decisions, face_id)
    (renamed,) = ann.decide([Rename(label_id=grace, name="Grace Hopper")], "Ann").decisions
    with pytest.raises(DecidedMeanwhile) as raised:
        bob.decide([Rename(label_id=grace, name="Gracie")], "Bob", believed=[seen])
    assert raised.value.other == renamed
    ann.decide([Merge(label_id=other, other_label_id=grace)], "Ann")
    bob.decide([Link(face_id=face_id, other_face_id=other_face)], "Bob", believed=[seen_face])


def test_two_writers_who_decide_at_one_moment_never_contradict_each_other(kafka: KafkaSettings, face_id: str) -> None:
    faces = [f"{face_id}-{number}" for number in range(10)]

    def decide_all(author: str) -> list[str]:
        """For each face, whether this author or the other one was the first."""
        outcomes = []
        with DecisionWriter(kafka, lambda: NOON) as writer:
            for face in faces:
                try:
                    writer.decide(
                        [name(face, f"{author}-{face_id}")], author, believed=[face_belief(Decisions(), face)]
                    )
                    outcomes.append("first")
                except DecidedMeanwhile:
                    outcomes.append("second")
        return outcomes

    with ThreadPoolExecutor(2) as pool:
        ann, bob = pool.map(decide_all, ["Ann", "Bob"])
    assert [{one, other} for one, other in zip(ann, bob, strict=True)] == [{"first", "second"}] * len(faces)
    assert len([it for it in published(kafka) if set(it.face_ids) & set(faces)]) == len(faces)


def test_what_was_decided_on_a_clock_that_is_ahead_can_be_undone_and_replaced(
    kafka: KafkaSettings, labels: Publisher, face_id: str, grace: str
) -> None:
    ahead = named(50, face_id, grace, decision_id=uuid4().hex)
    labels.send(ahead)
    labels.flush()

    def clock() -> datetime:
        return NOON + timedelta(minutes=1)

    with DecisionWriter(kafka, clock) as writer:
        (renamed,) = writer.decide([name(face_id, f"eileen-{face_id}")], "Ann").decisions
        assert renamed.decided_at == ahead.decided_at + timedelta(microseconds=1)
        writer.decide([Undo(decision_id=renamed.decision_id)], "Ann")
    assert read_decisions(kafka).labels(face_id).hard == grace


def test_a_decision_whose_record_was_deleted_was_never_made(
    kafka: KafkaSettings, labels: Publisher, face_id: str
) -> None:
    decision = named(1, face_id, "grace", decision_id=uuid4().hex)
    labels.send(decision)
    labels.send(Tombstone(LABELS, decision.decision_id))
    labels.flush()
    assert read_decisions(kafka).history(face_id) == []
