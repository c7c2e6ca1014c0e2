"""Which decisions hold, and what they yield for each face: its labels, and the faces linked with or separated from it.

Pure: no Kafka and no SQL. The state is a function of the set of decisions, whatever the order they are applied in.
`conflicts` checks a new decision against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceDecision,
    FaceNamed,
    FacesLinked,
    NameRejected,
    NameTakenBack,
    PairDecision,
)

Order = tuple[datetime, str]
"""What decisions are sorted by: their time, then their id."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class DecisionDeleted:
    """A tombstone of the topic `labels`: this decision no longer exists."""

    decision_id: str


@dataclass(frozen=True)
class FaceLabels:
    """The labels that decisions give one face: its hard label, and the labels that are rejected for it."""

    hard: str | None = None
    rejected: frozenset[str] = frozenset()

    @property
    def is_decided(self) -> bool:
        """Whether there is a hard label or a rejected one."""
        return self.hard is not None or bool(self.rejected)


@dataclass(frozen=True)
class Person:
    """The person that a label stands for: name and authority of the latest decisions that hold and give them."""

    label_id: str
    name: str
    authority: str | None


_UNDECIDED = FaceLabels()


class Decisions:
    """All decisions, and what those that hold yield for each face.

    A decision holds unless an undo of it holds that is later. Decisions that hold take effect in their order (time,
    then id). About one face, a naming replaces the earlier label and ends the rejection of its own label; a rejection
    ends the label that it rejects. About one pair of faces, the latest decision takes effect.
    """

    def __init__(self) -> None:
        """Start without decisions."""
        self._by_id: dict[str, Decision] = {}
        # Ids of the undos of a decision, also of one that has not been read yet.
        self._undo_ids: defaultdict[str, set[str]] = defaultdict(set)
        self._ids_of_face: defaultdict[str, set[str]] = defaultdict(set)
        # What holds, by face id. A face is missing where nothing holds.
        self._labels: dict[str, FaceLabels] = {}
        self._linked: dict[str, dict[str, Order]] = {}
        self._separated: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """The number of decisions, undone ones and undos included."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Decision]:
        """All decisions, undone ones and undos included, in no particular order."""
        return iter(self._by_id.values())

    def apply(self, batch: Iterable[Decision | DecisionDeleted]) -> set[str]:
        """Add decisions and delete others.

        Returns the ids of the faces for which what holds may have changed; of a pair, both. An event for an id that is
        there already replaces that decision; deleting an unknown one changes nothing.
        """
        face_ids: set[str] = set()
        for event in batch:
            face_ids |= self._delete(event.decision_id)
            if isinstance(event, Decision):
                face_ids |= self._add(event)
        for face_id in face_ids:
            self._update_face(face_id)
        return face_ids

    def labels(self, face_id: str) -> FaceLabels:
        """The labels of a face; empty where nothing holds."""
        return self._labels.get(face_id, _UNDECIDED)

    def linked(self, face_id: str) -> dict[str, Order]:
        """The faces that this one is linked with, each with the order of its decision."""
        return self._linked.get(face_id, {})

    def separated(self, face_id: str) -> set[str]:
        """The faces that this one is separated from."""
        return self._separated.get(face_id, set())

    def affect(self, face_id: str) -> bool:
        """Whether this face has a hard label, a rejected label, a link or a separation."""
        return face_id in self._labels or face_id in self._linked or face_id in self._separated

    def get(self, decision_id: str) -> Decision | None:
        """The decision of this id, whether it holds or not; None where there is none."""
        return self._by_id.get(decision_id)

    def holds(self, decision: Decision) -> bool:
        """Whether no undo of this decision holds. One that was superseded by a later decision still holds."""
        # Latest first: an undo is later than what it undoes, so whether it holds is known before that is needed.
        holding: dict[str, bool] = {}
        for candidate in reversed(self._with_undos([decision])):
            holding[candidate.decision_id] = not any(holding[undo.decision_id] for undo in self.undos(candidate))
        return holding[decision.decision_id]

    def undos(self, decision: Decision) -> list[Decision]:
        """The undos of a decision, earliest first. An undo that is not later than the decision is ignored."""
        undos = (self._by_id[undo_id] for undo_id in self._undo_ids.get(decision.decision_id, ()))
        return sorted((undo for undo in undos if undo.order > decision.order), key=lambda undo: undo.order)

    def subject(self, decision: Decision) -> Decision | None:
        """The decision about faces that this one is about: itself, or the end of its chain of undos.

        None where the chain leads to a decision that is not there, or in a circle.
        """
        seen: set[str] = set()
        while isinstance(decision, DecisionUndone):
            undone = self._by_id.get(decision.undone_decision_id)
            if undone is None or undone.decision_id in seen:
                return None
            seen.add(undone.decision_id)
            decision = undone
        return decision

    def history(self, face_id: str) -> list[Decision]:
        """All decisions about a face with their undos, earliest first."""
        return self._with_undos([self._by_id[decision_id] for decision_id in self._ids_of_face.get(face_id, ())])

    def people(self) -> dict[str, Person]:
        """The people named in decisions that hold, by label id; name and authority are the latest that were given."""
        people: dict[str, Person] = {}
        for decision in sorted(self._by_id.values(), key=lambda decision: decision.order):
            if isinstance(decision, FaceNamed) and self.holds(decision):
                known = people.get(decision.label_id)
                authority = decision.authority or (known.authority if known else None)
                people[decision.label_id] = Person(decision.label_id, decision.name, authority)
        return people

    def _add(self, decision: Decision) -> set[str]:
        """Index a decision. Returns the faces that it may change."""
        self._by_id[decision.decision_id] = decision
        for face_id in decision.face_ids:
            self._ids_of_face[face_id].add(decision.decision_id)
        if isinstance(decision, DecisionUndone):
            self._undo_ids[decision.undone_decision_id].add(decision.decision_id)
        return self._changed_faces(decision)

    def _delete(self, decision_id: str) -> set[str]:
        """Remove a decision, if it is there. Returns the faces that this may change."""
        decision = self._by_id.get(decision_id)
        if decision is None:
            return set()
        # Before the removal: afterwards the chain of an undo may no longer be complete.
        face_ids = self._changed_faces(decision)
        del self._by_id[decision_id]
        for face_id in decision.face_ids:
            self._ids_of_face[face_id].discard(decision_id)
        if isinstance(decision, DecisionUndone):
            self._undo_ids[decision.undone_decision_id].discard(decision_id)
        return face_ids

    def _changed_faces(self, decision: Decision) -> set[str]:
        subject = self.subject(decision)
        return set(subject.face_ids) if subject else set()

    def _update_face(self, face_id: str) -> None:
        """Compute again what holds for a face, from all decisions about it."""
        hard: str | None = None
        rejected: set[str] = set()
        latest_of_pair: dict[str, PairDecision] = {}
        for decision in self._holding_decisions(face_id):
            match decision:
                case FaceNamed():
                    hard = decision.label_id
                    rejected.discard(hard)
                case NameTakenBack():
                    hard = None
                case NameRejected():
                    rejected.add(decision.label_id)
                    hard = None if hard == decision.label_id else hard
                case PairDecision():
                    (other,) = set(decision.face_ids) - {face_id}
                    latest_of_pair[other] = decision
        linked = {other: pair.order for other, pair in latest_of_pair.items() if isinstance(pair, FacesLinked)}
        separated = latest_of_pair.keys() - linked.keys()
        labels = FaceLabels(hard, frozenset(rejected))
        _set_or_delete(self._labels, face_id, labels, labels.is_decided)
        _set_or_delete(self._linked, face_id, linked, bool(linked))
        _set_or_delete(self._separated, face_id, separated, bool(separated))

    def _with_undos(self, decisions: list[Decision]) -> list[Decision]:
        """These decisions, their undos, the undos of those and so on, earliest first."""
        collected: dict[str, Decision] = {}
        pending = list(decisions)
        while pending:
            decision = pending.pop()
            if decision.decision_id not in collected:
                collected[decision.decision_id] = decision
                pending += self.undos(decision)
        return sorted(collected.values(), key=lambda decision: decision.order)

    def _holding_decisions(self, face_id: str) -> Iterator[FaceDecision | PairDecision]:
        decisions = (self._by_id[decision_id] for decision_id in self._ids_of_face[face_id])
        for decision in sorted(decisions, key=lambda decision: decision.order):
            if isinstance(decision, FaceDecision | PairDecision) and self.holds(decision):
                yield decision


def _set_or_delete(values: dict[str, Value], face_id: str, value: Value, present: bool) -> None:
    """Only faces for which something holds have an entry, so that `affect` is a lookup."""
    if present:
        values[face_id] = value
    else:
        values.pop(face_id, None)
