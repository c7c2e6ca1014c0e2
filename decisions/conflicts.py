"""Checks a new decision against the decisions that hold, before it is published. Pure: no Kafka.

Linked faces are one person, also through a chain of links, and separated faces are two people. A decision that
contradicts this, a label or a rejection is refused, with the decisions that it conflicts with. The check is made by one
archivist's command: two archivists who decide at the same moment can still contradict each other, and then the rules of
`decisions.holding` and of the clustering settle which decision takes effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from decisions.holding import DecisionDeleted, Decisions
from decisions.wording import cite, describe
from errors import UserError
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    PairDecision,
)


class ConflictError(UserError):
    """A decision conflicts with earlier ones. The text names them and the commands that undo them."""


class AlreadyHolds(Exception):
    """The decision would change nothing. The text names the decision that has the same effect."""


class _Contradiction(NamedTuple):
    """Two faces about which not all decisions can be true.

    linked-and-separated: both hold, through whichever links. linked-with-two-labels: their hard labels differ.
    rejected-label: linked or the same face, `label_id` being the hard label of the first and rejected for the second.
    separated-with-one-label: each has `label_id`, or is linked with a face that has.
    """

    face_id: str
    other_face_id: str
    kind: Literal["linked-and-separated", "linked-with-two-labels", "rejected-label", "separated-with-one-label"]
    label_id: str = ""


def check(decisions: Decisions, decision: Decision) -> None:
    """Check a new decision against all earlier `decisions`, which stay as they are.

    Raises ConflictError where it contradicts them or undoes nothing, AlreadyHolds where it would change nothing.
    """
    if isinstance(decision, DecisionUndone):
        _check_undo(decisions, decision)
        subject = decisions.subject(decision)
    else:
        _check_repetition(decisions, decision)
        subject = decision
    # The chain of an undo may lead to a decision that was deleted. Then nothing is known to contradict.
    if subject is not None:
        _check_contradictions(decisions, decision, subject)


def _check_undo(decisions: Decisions, decision: DecisionUndone) -> None:
    undone = decisions.get(decision.undone_decision_id)
    if undone is None:
        raise ConflictError(f"there is no decision {decision.undone_decision_id}")
    if not decisions.holds(undone):
        undo = next(undo for undo in decisions.undos(undone) if decisions.holds(undo))
        raise ConflictError(
            f"that was undone before: {cite(undo, decisions.people())}; "
            f"to restore it: facestream undo {undo.decision_id}"
        )


def _check_repetition(decisions: Decisions, decision: Decision) -> None:
    if not _already_holds(decisions, decision):
        return
    people = decisions.people()
    if isinstance(decision, FaceNamed):
        person = people[decision.label_id]
        if person.name != decision.name or decision.authority not in (None, person.authority):
            # It changes the person's name or authority.
            return
    earlier = _latest(decisions, decision.face_ids[0], lambda candidate: _same_content(candidate, decision))
    # That a face has no label may hold without any decision.
    raise AlreadyHolds(cite(earlier, people) if earlier else describe(decision, people))


def _check_contradictions(decisions: Decisions, decision: Decision, subject: Decision) -> None:
    """Compare what holds without the decision and with it, for the faces of `subject`.

    `subject` is the decision itself or, of an undo, the decision about faces that it ends or restores.
    """
    ends_subject = decisions.get(subject.decision_id) is not None and decisions.holds(subject)
    summary = f"that {describe(subject, decisions.people())}"
    if decision is not subject:
        summary = f"undoing {summary}" if ends_subject else f"{summary}, again,"

    def conflict(evidence: Iterable[Decision]) -> ConflictError:
        people = decisions.people()
        earlier = [other for other in evidence if other not in (decision, subject)]
        citations = " and ".join(cite(other, people) for other in earlier)
        commands = " or ".join(f"facestream undo {other.decision_id}" for other in earlier)
        return ConflictError(
            f"{summary} conflicts with what was decided before: {citations}; to take that back first: {commands}"
        )

    opposite = None if ends_subject else _opposite(decisions, subject)
    if opposite is not None:
        raise conflict([opposite])
    contradictions_before = _contradictions(decisions, subject.face_ids)
    with _temporarily_applied(decisions, decision):
        if not ends_subject and decisions.holds(subject) and not _already_holds(decisions, subject):
            raise conflict([_superseding(decisions, subject)])
        # Contradictions that were there before do not keep anybody from deciding.
        new = sorted(_contradictions(decisions, subject.face_ids) - contradictions_before)
        if new:
            raise conflict(_evidence(decisions, new[0]))


@contextmanager
def _temporarily_applied(decisions: Decisions, decision: Decision) -> Iterator[None]:
    decisions.apply([decision])
    try:
        yield
    finally:
        decisions.apply([DecisionDeleted(decision.decision_id)])


def _already_holds(decisions: Decisions, decision: Decision) -> bool:
    """Whether the faces are already as this decision makes them."""
    match decision:
        case FaceNamed():
            return decisions.labels(decision.face_id).hard == decision.label_id
        case NameTakenBack():
            return decisions.labels(decision.face_id).hard is None
        case NameRejected():
            return decision.label_id in decisions.labels(decision.face_id).rejected
        case FacesLinked():
            return decision.other_face_id in decisions.linked(decision.face_id)
        case FacesSeparated():
            return decision.other_face_id in decisions.separated(decision.face_id)
    return False


def _same_content(one: Decision, other: Decision) -> bool:
    """Whether two decisions are of one kind, about the same faces and the same label."""
    contents = [
        (type(decision), set(decision.face_ids), getattr(decision, "label_id", None)) for decision in (one, other)
    ]
    return contents[0] == contents[1]


def _opposite(decisions: Decisions, decision: Decision) -> Decision | None:
    """The decision that takes effect now and is the opposite of this one about the same face or pair."""
    match decision:
        case FaceNamed() if decision.label_id in decisions.labels(decision.face_id).rejected:
            return _rejection(decisions, decision.face_id, decision.label_id)
        case NameRejected() if decisions.labels(decision.face_id).hard == decision.label_id:
            return _naming(decisions, decision.face_id)
        case FacesLinked() if decision.other_face_id in decisions.separated(decision.face_id):
            return _pair_decision(decisions, *decision.face_ids)
        case FacesSeparated() if decision.other_face_id in decisions.linked(decision.face_id):
            return _pair_decision(decisions, *decision.face_ids)
    return None


def _superseding(decisions: Decisions, subject: Decision) -> Decision:
    """The later decision about the label of the same face that keeps this one from taking effect."""

    def is_later(candidate: Decision) -> bool:
        return candidate.order > subject.order and isinstance(candidate, FaceNamed | NameTakenBack)

    return _required(_latest(decisions, subject.face_ids[0], is_later))


def _contradictions(decisions: Decisions, face_ids: Sequence[str]) -> set[_Contradiction]:
    """All contradictions among these faces, the faces linked with them, and the faces separated from any of those."""
    contradictions: set[_Contradiction] = set()
    # One set for each person: two of the faces may be linked with each other.
    for linked in {frozenset(_link_paths(decisions, face_id)) for face_id in face_ids}:
        hard_labels = _hard_labels(decisions, linked)
        for face_id, label_id in hard_labels.items():
            contradictions |= {
                _Contradiction(face_id, other, "linked-with-two-labels")
                for other, other_label_id in hard_labels.items()
                if face_id < other and label_id != other_label_id
            }
            contradictions |= {
                _Contradiction(face_id, other, "rejected-label", label_id)
                for other in linked
                if label_id in decisions.labels(other).rejected
            }
        for face_id in linked:
            for other in decisions.separated(face_id):
                pair = min(face_id, other), max(face_id, other)
                if other in linked:
                    contradictions.add(_Contradiction(*pair, "linked-and-separated"))
                else:
                    others = _hard_labels(decisions, _link_paths(decisions, other))
                    shared = set(hard_labels.values()) & set(others.values())
                    contradictions |= {
                        _Contradiction(*pair, "separated-with-one-label", label_id) for label_id in shared
                    }
    return contradictions


def _evidence(decisions: Decisions, contradiction: _Contradiction) -> list[Decision]:
    """The decisions that together make the contradiction."""
    face_id, other, kind, label_id = contradiction
    if kind == "separated-with-one-label":
        return [
            _pair_decision(decisions, face_id, other),
            *_path_to_label(decisions, face_id, label_id),
            *_path_to_label(decisions, other, label_id),
        ]
    path = _link_paths(decisions, face_id)[other]
    if kind == "linked-and-separated":
        return [_pair_decision(decisions, face_id, other), *path]
    against = _naming(decisions, other) if kind == "linked-with-two-labels" else _rejection(decisions, other, label_id)
    return [_naming(decisions, face_id), against, *path]


def _link_paths(decisions: Decisions, face_id: str) -> dict[str, list[Decision]]:
    """The faces linked with this one, also through others and itself included, each with the shortest path of links.

    Breadth-first, so nearer faces come first.
    """
    paths: dict[str, list[Decision]] = {face_id: []}
    queue = deque([face_id])
    while queue:
        current = queue.popleft()
        for other in sorted(decisions.linked(current)):
            if other not in paths:
                paths[other] = [*paths[current], _pair_decision(decisions, current, other)]
                queue.append(other)
    return paths


def _hard_labels(decisions: Decisions, face_ids: Iterable[str]) -> dict[str, str]:
    """The hard labels of these faces; faces without one are left out."""
    labels = {face_id: decisions.labels(face_id).hard for face_id in face_ids}
    return {face_id: label_id for face_id, label_id in labels.items() if label_id is not None}


def _path_to_label(decisions: Decisions, face_id: str, label_id: str) -> list[Decision]:
    """The links from a face to the nearest face with this hard label, and that face's naming."""
    paths = _link_paths(decisions, face_id)
    nearest = next(face for face, label in _hard_labels(decisions, paths).items() if label == label_id)
    return [*paths[nearest], _naming(decisions, nearest)]


def _naming(decisions: Decisions, face_id: str) -> Decision:
    return _required(_latest(decisions, face_id, lambda decision: isinstance(decision, FaceNamed)))


def _rejection(decisions: Decisions, face_id: str, label_id: str) -> Decision:
    def rejects(decision: Decision) -> bool:
        return isinstance(decision, NameRejected) and decision.label_id == label_id

    return _required(_latest(decisions, face_id, rejects))


def _pair_decision(decisions: Decisions, face_id: str, other: str) -> Decision:
    def is_about_pair(decision: Decision) -> bool:
        return isinstance(decision, PairDecision) and set(decision.face_ids) == {face_id, other}

    return _required(_latest(decisions, face_id, is_about_pair))


def _latest(decisions: Decisions, face_id: str, matches: Callable[[Decision], bool]) -> Decision | None:
    """The latest decision about a face that holds and matches."""
    history = reversed(decisions.history(face_id))
    return next((decision for decision in history if decisions.holds(decision) and matches(decision)), None)


def _required(decision: Decision | None) -> Decision:
    if decision is None:
        raise LookupError("a label, rejection, link or separation holds without a decision")
    return decision
