"""Which label ids are one person, which were removed, and what each person is called. Pure.

All is a function of the decisions that hold, taken in their order: a merge makes two label ids one person from then on,
and a removal ends what was decided earlier about all label ids of the person, their merges included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.decisions import Decision, FaceNamed, PeopleMerged, PersonRemoved, PersonRenamed

Order = tuple[datetime, str]
"""What decisions are sorted by: their time, then their id."""


@dataclass(frozen=True)
class Person:
    """A person: the label id that stands for them, their name, and their URI in an authority file if it is known."""

    label_id: str
    name: str
    authority: str | None


class KnownLabels(Mapping[str, Person]):
    """Label ids with the person that each stands for now. A person is looked up when asked for: there may be many."""

    def __init__(self, label_ids: Iterable[str], person: Callable[[str], Person | None]) -> None:
        """`person` gives the person of a label id; one for which it has None is not in the mapping."""
        self._label_ids = label_ids
        self._person = person

    def __getitem__(self, label_id: str) -> Person:
        person = self._person(label_id)
        if person is None:
            raise KeyError(label_id)
        return person

    def __iter__(self) -> Iterator[str]:
        return (label_id for label_id in self._label_ids if self._person(label_id) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class _Names:
    """A person's names so far. A renaming counts before any naming of a face, whichever came first."""

    renamed: str | None = None
    named: str | None = None
    authority: str | None = None

    @property
    def name(self) -> str | None:
        return self.renamed or self.named


class Identities:
    """Who label ids stand for, by the decisions about people, and by namings, that it was made of."""

    def __init__(self, holding: Iterable[Decision] = ()) -> None:
        """Of decisions that hold, in any order; those of other kinds are ignored."""
        self.removed: dict[str, Order] = {}
        self._person_of: dict[str, str] = {}
        self._label_ids_of: dict[str, set[str]] = {}
        self._names: dict[str, _Names] = {}
        for decision in sorted(holding, key=lambda decision: decision.order):
            self._take(decision)

    def person_of(self, label_id: str) -> str:
        """The label id of the person that a label id stands for: itself, or one that it was merged into."""
        return self._person_of.get(label_id, label_id)

    def label_ids_of(self, label_id: str) -> set[str]:
        """All label ids that stand for the same person as this one, itself included."""
        return self._label_ids_of.get(self.person_of(label_id), {label_id})

    def person(self, label_id: str) -> Person | None:
        """The person that a label id stands for; None where no naming names them."""
        person_id = self.person_of(label_id)
        names = self._names.get(person_id)
        # A renaming alone makes nobody: the faces of a person are what there is of them.
        if names is None or names.named is None or names.name is None:
            return None
        return Person(person_id, names.name, names.authority)

    def count(self, decision: Decision) -> bool:
        """Whether no later removal ends what a decision says about its people."""
        return all(
            label_id not in self.removed or decision.order > self.removed[label_id] for label_id in decision.label_ids
        )

    def changed_from(self, other: Identities) -> set[str]:
        """The label ids that stand for another person than in `other`, or were removed at another time."""
        label_ids = self._person_of.keys() | other._person_of.keys() | self.removed.keys() | other.removed.keys()
        return {
            label_id
            for label_id in label_ids
            if self.person_of(label_id) != other.person_of(label_id)
            or self.removed.get(label_id) != other.removed.get(label_id)
        }

    def _take(self, decision: Decision) -> None:
        match decision:
            case FaceNamed():
                names = self._names_of(decision.label_id)
                names.named = decision.name
                names.authority = decision.authority or names.authority
            case PersonRenamed():
                names = self._names_of(decision.label_id)
                names.renamed = decision.name
                # An empty authority is none; without one it stays as it was.
                names.authority = names.authority if decision.authority is None else decision.authority or None
            case PeopleMerged():
                self._merge(self.person_of(decision.label_id), self.person_of(decision.other_label_id))
            case PersonRemoved():
                for label_id in list(self.label_ids_of(decision.label_id)):
                    self.removed[label_id] = decision.order
                    self._person_of.pop(label_id, None)
                    self._label_ids_of.pop(label_id, None)
                    self._names.pop(label_id, None)

    def _merge(self, person_id: str, other_id: str) -> None:
        if person_id == other_id:
            return
        label_ids = self._label_ids_of.setdefault(person_id, {person_id})
        label_ids |= self._label_ids_of.pop(other_id, {other_id})
        self._person_of |= dict.fromkeys(label_ids, person_id)
        names, others = self._names_of(person_id), self._names.pop(other_id, _Names())
        if names.name is None:
            names.renamed = others.renamed
        names.named = names.named or others.named
        names.authority = names.authority or others.authority

    def _names_of(self, label_id: str) -> _Names:
        return self._names.setdefault(self.person_of(label_id), _Names())
