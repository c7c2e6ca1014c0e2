"""What archivists decided, as far as it holds: names, rejections, links and separations, after all undos.

The state is a function of the set of decisions, whatever order they are read in.
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

Value = TypeVar("Value")


@dataclass(frozen=True)
class DecisionDeleted:
    """A tombstone of `labels`: this decision was never made."""

    decision_id: str


@dataclass(frozen=True)
class FaceLabels:
    """What was decided about the name of one face: its hard label, and the labels that it never is."""

    hard: str | None = None
    rejected: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        """Whether anything was."""
        return self.hard is not None or bool(self.rejected)


@dataclass(frozen=True)
class Person:
    """Who a label stands for, as last said in a decision that holds."""

    label_id: str
    name: str
    authority: str | None


_UNDECIDED = FaceLabels()


class Decisions:
    """All decisions ever made, and what of them holds.

    A decision holds unless an undo that holds and is later than it names it. Of the decisions about one face that
    hold, each takes effect in their order (time, then id): a name takes the place of the one before and of its own
    rejection, a rejection that of the name it rejects. Of those about one pair of faces the last one counts.
    """

    def __init__(self) -> None:
        """No decisions."""
        self._by_id: dict[str, Decision] = {}
        self._undos: defaultdict[str, set[str]] = defaultdict(set)
        self._about: defaultdict[str, set[str]] = defaultdict(set)
        self._labels: dict[str, FaceLabels] = {}
        self._linked: dict[str, dict[str, Order]] = {}
        self._separated: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many decisions there are, undone ones and undos included."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Decision]:
        """All of them, undone ones and undos included, in no particular order."""
        return iter(self._by_id.values())

    def take(self, batch: Iterable[Decision | DecisionDeleted]) -> set[str]:
        """Take decisions in. The faces for which what holds may have changed, partners of pairs included."""
        faces: set[str] = set()
        for said in batch:
            faces |= self._forget(said.decision_id)
            if isinstance(said, Decision):
                faces |= self._add(said)
        for face_id in faces:
            self._settle(face_id)
        return faces

    def labels(self, face_id: str) -> FaceLabels:
        """What was decided about a face's name."""
        return self._labels.get(face_id, _UNDECIDED)

    def linked(self, face_id: str) -> dict[str, Order]:
        """The faces that this one is linked with, each with the order of the decision."""
        return self._linked.get(face_id, {})

    def separated(self, face_id: str) -> set[str]:
        """The faces that this one is separated from."""
        return self._separated.get(face_id, set())

    def concern(self, face_id: str) -> bool:
        """Whether any decision about this face holds: a name, a rejection, a link or a separation."""
        return face_id in self._labels or face_id in self._linked or face_id in self._separated

    def get(self, decision_id: str) -> Decision | None:
        """The decision of this id, whether it holds or not."""
        return self._by_id.get(decision_id)

    def holds(self, decision: Decision) -> bool:
        """Whether nobody has undone this decision; one that was superseded by a later one still holds."""
        holding: dict[str, bool] = {}
        for it in reversed(self._with_undos([decision])):
            holding[it.decision_id] = not any(holding[undo.decision_id] for undo in self.undos(it))
        return holding[decision.decision_id]

    def undos(self, decision: Decision) -> list[Decision]:
        """The undos of a decision, earliest first. One that claims to be earlier than what it undoes is none."""
        undos = (self._by_id[it] for it in self._undos.get(decision.decision_id, ()))
        return sorted((it for it in undos if it.order > decision.order), key=lambda it: it.order)

    def history(self, face_id: str) -> list[Decision]:
        """All decisions about a face, and the undos of them, earliest first."""
        return self._with_undos([self._by_id[it] for it in self._about.get(face_id, ())])

    def people(self) -> dict[str, Person]:
        """Everybody who was named in a decision that holds, by label id: name and authority as last said."""
        people: dict[str, Person] = {}
        for decision in sorted(self._by_id.values(), key=lambda it: it.order):
            if isinstance(decision, FaceNamed) and self.holds(decision):
                before = people.get(decision.label_id)
                authority = decision.authority or (before.authority if before else None)
                people[decision.label_id] = Person(decision.label_id, decision.name, authority)
        return people

    def _add(self, decision: Decision) -> set[str]:
        self._by_id[decision.decision_id] = decision
        for face_id in decision.face_ids:
            self._about[face_id].add(decision.decision_id)
        if isinstance(decision, DecisionUndone):
            self._undos[decision.undone_decision_id].add(decision.decision_id)
        return self._faces_behind(decision)

    def _forget(self, decision_id: str) -> set[str]:
        decision = self._by_id.get(decision_id)
        if decision is None:
            return set()
        faces = self._faces_behind(decision)
        del self._by_id[decision_id]
        for face_id in decision.face_ids:
            self._about[face_id].discard(decision_id)
        if isinstance(decision, DecisionUndone):
            self._undos[decision.undone_decision_id].discard(decision_id)
        return faces

    def _faces_behind(self, decision: Decision) -> set[str]:
        """The faces of a decision; of an undo, those of the decision at the end of its chain, if that is known."""
        seen: set[str] = set()
        while isinstance(decision, DecisionUndone):
            undone = self._by_id.get(decision.undone_decision_id)
            if undone is None or undone.decision_id in seen:
                return set()
            seen.add(undone.decision_id)
            decision = undone
        return set(decision.face_ids)

    def _settle(self, face_id: str) -> None:
        holding = list(self._holding(face_id))
        hard: str | None = None
        rejected: set[str] = set()
        last_of_pair: dict[str, PairDecision] = {}
        for decision in holding:
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
                    last_of_pair[other] = decision
        linked = {other: it.order for other, it in last_of_pair.items() if isinstance(it, FacesLinked)}
        labels = FaceLabels(hard, frozenset(rejected))
        _put(self._labels, face_id, labels, labels.any)
        _put(self._linked, face_id, linked, bool(linked))
        _put(self._separated, face_id, last_of_pair.keys() - linked.keys(), len(last_of_pair) > len(linked))

    def _with_undos(self, decisions: list[Decision]) -> list[Decision]:
        """Decisions, the undos of them, the undos of these and so on, earliest first."""
        found: dict[str, Decision] = {}
        waiting = list(decisions)
        while waiting:
            decision = waiting.pop()
            if decision.decision_id not in found:
                found[decision.decision_id] = decision
                waiting += self.undos(decision)
        return sorted(found.values(), key=lambda it: it.order)

    def _holding(self, face_id: str) -> Iterator[FaceDecision | PairDecision]:
        for decision in sorted((self._by_id[it] for it in self._about[face_id]), key=lambda it: it.order):
            if isinstance(decision, FaceDecision | PairDecision) and self.holds(decision):
                yield decision


def _put(kept: dict[str, Value], face_id: str, value: Value, is_something: bool) -> None:
    if is_something:
        kept[face_id] = value
    else:
        kept.pop(face_id, None)
