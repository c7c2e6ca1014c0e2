"""Which decisions hold, and what they yield for each face: its labels, and the faces linked with or separated from it.

Who the labels stand for is in `identities`. Pure: no Kafka and no SQL. The state is a function of the set of decisions,
whatever the order they are applied in. `conflicts` checks a new decision against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from decisions.identities import Identities, KnownLabels, Order, Person
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceDecision,
    FaceNamed,
    FacesLinked,
    NameRejected,
    NameTakenBack,
    NotAFace,
    PairDecision,
    PeopleMerged,
    PersonDecision,
)

__all__ = ["DecisionDeleted", "Decisions", "FaceLabels", "Order", "Person"]

Value = TypeVar("Value")

_ABOUT_FACES = (FaceDecision, PairDecision)


@dataclass(frozen=True)
class DecisionDeleted:
    """A tombstone of the topic `labels`: this decision no longer exists."""

    decision_id: str


@dataclass(frozen=True)
class FaceLabels:
    """The labels that decisions give one face: its hard label, and the labels that are rejected for it.

    A label id that was merged into another is replaced by that one. not_a_face: it is in no cluster, and has no labels.
    """

    hard: str | None = None
    rejected: frozenset[str] = frozenset()
    not_a_face: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether there is a hard label or a rejected one."""
        return self.hard is not None or bool(self.rejected)


_UNDECIDED = FaceLabels()


class Decisions:
    """All decisions, and what those that hold yield for each face.

    A decision holds unless an undo of it holds that is later. Decisions that hold take effect in their order (time,
    then id). About one face, a naming replaces the earlier label and ends the rejection of its own label; a rejection
    ends the label that it rejects; that it is not a face ends its label, and a naming ends that. About one pair of
    faces, the latest decision takes effect. What was decided about a person before they were removed does not count.
    """

    def __init__(self) -> None:
        """Start without decisions."""
        self._by_id: dict[str, Decision] = {}
        # Ids of the undos of a decision, also of one that has not been read yet.
        self._undo_ids: defaultdict[str, set[str]] = defaultdict(set)
        self._ids_of_face: defaultdict[str, set[str]] = defaultdict(set)
        self._ids_of_label: defaultdict[str, set[str]] = defaultdict(set)
        self._ids_about_people: set[str] = set()
        # By the decisions about people alone: namings are many. The names are computed when they are asked for.
        self._identities = Identities()
        self._person_by_id: dict[str, Person | None] = {}
        self._people: dict[str, Person] | None = None
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
        changed: set[Decision] = set()
        for event in batch:
            changed |= self._delete(event.decision_id)
            if isinstance(event, Decision):
                changed |= self._add(event)
        face_ids = {face_id for decision in changed for face_id in decision.face_ids}
        face_ids |= self._update_people(changed)
        self._people = None
        for face_id in face_ids:
            self._update_face(face_id)
        return face_ids

    @contextmanager
    def with_also(self, decision: Decision) -> Iterator[None]:
        """Within the context there is this decision as well, which is new; afterwards all is as before."""
        person_ids = {self._identities.person_of(label_id) for label_id in decision.label_ids}
        known = {it: self._person_by_id[it] for it in person_ids if it in self._person_by_id}
        self.apply([decision])
        try:
            yield
        finally:
            self.apply([DecisionDeleted(decision.decision_id)])
            self._person_by_id |= known

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
        """Whether this face has a hard label, a rejected label, a link or a separation, or is none."""
        return face_id in self._labels or face_id in self._linked or face_id in self._separated

    def get(self, decision_id: str) -> Decision | None:
        """The decision of this id, whether it holds or not; None where there is none."""
        return self._by_id.get(decision_id)

    def holds(self, decision: Decision) -> bool:
        """Whether no undo of this decision holds. One that was superseded by a later decision still holds."""
        if decision.decision_id not in self._undo_ids:
            return True
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
        """The decision about faces or people that this one is about: itself, or the end of its chain of undos.

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

    def history_of_person(self, label_id: str) -> list[Decision]:
        """All decisions about a person alone, under any of their label ids, with their undos, earliest first."""
        decisions = [self._by_id[decision_id] for decision_id in self._ids_about(label_id)]
        return self._with_undos([decision for decision in decisions if isinstance(decision, PersonDecision)])

    def about_person(self, label_id: str) -> list[Decision]:
        """All decisions about a person, under any of their label ids, also those about faces, in no particular order.

        Their undos are left out.
        """
        return [self._by_id[decision_id] for decision_id in self._ids_about(label_id)]

    def ever_merged_with(self, label_id: str) -> set[str]:
        """The label ids that merges connect with this one, itself included, whether they hold or not."""
        about_people = (self._by_id[decision_id] for decision_id in self._ids_about_people)
        merges = [set(decision.label_ids) for decision in about_people if isinstance(decision, PeopleMerged)]
        connected = {label_id}
        while more := [merge for merge in merges if merge & connected and not merge <= connected]:
            connected.update(*more)
        return connected

    def person_of(self, label_id: str) -> str:
        """The label id of the person that a label id stands for: itself, or one that it was merged into."""
        return self._identities.person_of(label_id)

    def person(self, label_id: str) -> Person | None:
        """The person that a label id stands for, be it merged into another; None where there is nobody (any more)."""
        person_id = self._identities.person_of(label_id)
        if person_id not in self._person_by_id:
            holding = filter(self.holds, self.about_person(person_id))
            self._person_by_id[person_id] = Identities(holding).person(person_id)
        return self._person_by_id[person_id]

    def people(self) -> Mapping[str, Person]:
        """The people named in decisions that hold, by label id. A label id that was merged into another is left out."""
        if self._people is None:
            known = self.known_labels()
            self._people = {label_id: person for label_id, person in known.items() if label_id == person.label_id}
        return self._people

    def known_labels(self) -> Mapping[str, Person]:
        """Every label id that stands for somebody, with the person: the people, and those merged into them."""
        return KnownLabels(self._ids_of_label.keys(), self.person)

    def newest(self) -> Iterator[Decision]:
        """All decisions, undone ones and undos included, those that were read last first."""
        return reversed(self._by_id.values())

    def count(self, decision: Decision) -> bool:
        """Whether no removal of a person ends what a decision says. Whether it holds is another question."""
        return self._identities.count(decision)

    def _add(self, decision: Decision) -> set[Decision]:
        """Index a decision. Returns the decisions about faces or people of which others may hold now."""
        self._by_id[decision.decision_id] = decision
        for face_id in decision.face_ids:
            self._ids_of_face[face_id].add(decision.decision_id)
        for label_id in decision.label_ids:
            self._ids_of_label[label_id].add(decision.decision_id)
        if isinstance(decision, PersonDecision):
            self._ids_about_people.add(decision.decision_id)
        if isinstance(decision, DecisionUndone):
            self._undo_ids[decision.undone_decision_id].add(decision.decision_id)
        return self._subjects(decision)

    def _delete(self, decision_id: str) -> set[Decision]:
        """Remove a decision, if it is there. Returns the decisions about faces or people that this may change."""
        decision = self._by_id.get(decision_id)
        if decision is None:
            return set()
        # Before the removal: afterwards the chain of an undo may no longer be complete.
        changed = self._subjects(decision)
        del self._by_id[decision_id]
        for face_id in decision.face_ids:
            self._ids_of_face[face_id].discard(decision_id)
        for label_id in decision.label_ids:
            _discard(self._ids_of_label, label_id, decision_id)
        self._ids_about_people.discard(decision_id)
        if isinstance(decision, DecisionUndone):
            _discard(self._undo_ids, decision.undone_decision_id, decision_id)
        return changed

    def _subjects(self, decision: Decision) -> set[Decision]:
        subject = self.subject(decision)
        return {subject} if subject else set()

    def _ids_about(self, label_id: str) -> set[str]:
        label_ids = self._identities.label_ids_of(label_id)
        ids = {decision_id for one in label_ids for decision_id in self._ids_of_label.get(one, ())}
        # The removal of a person whom a label id was merged into then ended it as well.
        return ids | {self._identities.removed[one][1] for one in label_ids if one in self._identities.removed}

    def _update_people(self, changed: Iterable[Decision]) -> set[str]:
        """Compute again who the label ids stand for, as far as these decisions may change it.

        Returns the ids of the faces whose labels may have changed with it.
        """
        label_ids = {label_id for decision in changed for label_id in decision.label_ids}
        if not any(isinstance(decision, PersonDecision) for decision in changed):
            for decision in changed:
                if not self._is_no_news(decision):
                    for label_id in decision.label_ids:
                        self._person_by_id.pop(self._identities.person_of(label_id), None)
            return set()
        about_people = (self._by_id[decision_id] for decision_id in self._ids_about_people)
        before, self._identities = self._identities, Identities(filter(self.holds, about_people))
        moved = self._identities.changed_from(before)
        # These people are computed again when they are asked for.
        for label_id in label_ids | moved:
            self._person_by_id.pop(before.person_of(label_id), None)
            self._person_by_id.pop(self._identities.person_of(label_id), None)
        decision_ids = {decision_id for label_id in moved for decision_id in self._ids_of_label.get(label_id, ())}
        return {face_id for decision_id in decision_ids for face_id in self._by_id[decision_id].face_ids}

    def _is_no_news(self, decision: Decision) -> bool:
        """Whether a person who is known is named once more as they are called: they are the same then.

        A person with thousands of faces is computed from all these namings, and not again with each further one.
        """
        if not isinstance(decision, FaceNamed) or self._by_id.get(decision.decision_id) is not decision:
            return False
        known = self._person_by_id.get(self._identities.person_of(decision.label_id))
        return (
            known is not None
            and known.name == decision.name
            and (not decision.authority or decision.authority == known.authority)
            and self.holds(decision)
        )

    def _update_face(self, face_id: str) -> None:
        """Compute again what holds for a face, from all decisions about it."""
        hard: str | None = None
        rejected: set[str] = set()
        not_a_face = False
        latest_of_pair: dict[str, PairDecision] = {}
        for decision in self._holding_decisions(face_id):
            match decision:
                case FaceNamed():
                    # Also where the person was removed since: the label before was wrong.
                    hard = self.person_of(decision.label_id) if self.count(decision) else None
                    rejected -= {hard}
                    not_a_face = False
                case NameTakenBack():
                    hard = None
                case NameRejected() if self.count(decision):
                    label_id = self.person_of(decision.label_id)
                    rejected.add(label_id)
                    hard = None if hard == label_id else hard
                case NotAFace():
                    hard, not_a_face = None, True
                case PairDecision():
                    (other,) = set(decision.face_ids) - {face_id}
                    latest_of_pair[other] = decision
        linked = {other: pair.order for other, pair in latest_of_pair.items() if isinstance(pair, FacesLinked)}
        separated = latest_of_pair.keys() - linked.keys()
        labels = FaceLabels(hard, frozenset(rejected), not_a_face)
        _set_or_delete(self._labels, face_id, labels, labels != _UNDECIDED)
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
        decisions = [self._by_id[decision_id] for decision_id in self._ids_of_face[face_id]]
        if len(decisions) > 1:
            decisions.sort(key=lambda decision: decision.order)
        for decision in decisions:
            if isinstance(decision, _ABOUT_FACES) and self.holds(decision):
                yield decision


def _discard(ids: dict[str, set[str]], key: str, decision_id: str) -> None:
    """Only keys with a decision have an entry, so that `holds` is a lookup for most decisions."""
    ids[key].discard(decision_id)
    if not ids[key]:
        del ids[key]


def _set_or_delete(values: dict[str, Value], face_id: str, value: Value, present: bool) -> None:
    """Only faces for which something holds have an entry, so that `affect` is a lookup."""
    if present:
        values[face_id] = value
    else:
        values.pop(face_id, None)
