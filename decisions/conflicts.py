"""Checks a new decision against the decisions that hold, before it is published. Pure: no Kafka.

A decision that contradicts them is refused, with the decisions that it conflicts with. The writer, which is
producers/decisions.py, checks it against all that were published before. Where other programs write decisions without a
check, the rules of `decisions.holding` and of the clustering settle which one takes effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from decisions.contradictions import (
    contradictions,
    evidence,
    latest_of,
    naming,
    not_a_face,
    pair_decision,
    rejection,
)
from decisions.holding import Decisions
from decisions.refusals import Reason, Refusal
from decisions.wording import cite, describe
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceDecision,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    NotSure,
    PairDecision,
    PeopleMerged,
    PersonDecision,
    PersonRemoved,
    PersonRenamed,
)


class ConflictError(Refusal):
    """A decision conflicts with `earlier` ones. The text names them and the commands that undo them."""

    def __init__(
        self, message: str, decision: Decision, reason: Reason = "contradiction", earlier: Sequence[Decision] = ()
    ) -> None:
        super().__init__(message, reason)
        self.decision = decision
        self.earlier = tuple(earlier)


class AlreadyHolds(Exception):
    """The decision would change nothing. The text names the decision that has the same effect."""


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
        raise ConflictError(f"there is no decision {decision.undone_decision_id}", decision, "no-decision")
    if not decisions.holds(undone):
        undo = next(undo for undo in decisions.undos(undone) if decisions.holds(undo))
        raise ConflictError(
            f"that was undone before: {cite(undo, decisions.known_labels())}; "
            f"to restore it: facestream undo {undo.decision_id}",
            decision,
            "undone-before",
            [undo],
        )


def _check_repetition(decisions: Decisions, decision: Decision) -> None:
    if not _already_holds(decisions, decision):
        return
    people = decisions.known_labels()
    if isinstance(decision, FaceNamed):
        person = people[decision.label_id]
        if person.name != decision.name or decision.authority not in (None, person.authority):
            # It changes the person's name or authority.
            return
    earlier = latest_of(
        decisions, _histories(decisions, decision), lambda other: _same_content(decisions, other, decision)
    )
    # That a face has no label may hold without any decision.
    raise AlreadyHolds(cite(earlier, people) if earlier else describe(decision, people))


def _histories(decisions: Decisions, decision: Decision) -> list[Decision]:
    """All decisions about the same faces, and about the same people alone, in their order."""
    histories = [decisions.history(face_id) for face_id in decision.face_ids]
    histories += [decisions.history_of_person(label_id) for label_id in decision.label_ids]
    distinct = {other.decision_id: other for history in histories for other in history}
    return sorted(distinct.values(), key=lambda other: other.order)


def _check_contradictions(decisions: Decisions, decision: Decision, subject: Decision) -> None:
    """Compare what holds without the decision and with it, for the faces of `subject`.

    `subject` is the decision itself or, of an undo, the decision about faces or people that it ends or restores.
    """
    ends_subject = decisions.get(subject.decision_id) is not None and decisions.holds(subject)
    summary = f"that {describe(subject, decisions.known_labels())}"
    if decision is not subject:
        summary = f"undoing {summary}" if ends_subject else f"{summary}, again,"

    def conflict(against: Iterable[Decision]) -> ConflictError:
        people = decisions.known_labels()
        earlier = [other for other in against if other not in (decision, subject)]
        citations = " and ".join(cite(other, people) for other in earlier)
        commands = " or ".join(f"facestream undo {other.decision_id}" for other in earlier)
        return ConflictError(
            f"{summary} conflicts with what was decided before: {citations}; to take that back first: {commands}",
            decision,
            earlier=earlier,
        )

    opposites = [] if ends_subject else _opposites(decisions, subject)
    if opposites:
        raise conflict(opposites)
    face_ids = set(subject.face_ids)
    if isinstance(subject, PersonDecision):
        face_ids |= _constrained_faces(decisions, subject)
    with decisions.with_also(decision):
        if isinstance(subject, PersonDecision):
            face_ids |= _constrained_faces(decisions, subject)
        if not ends_subject and decisions.holds(subject) and not _takes_effect(decisions, subject):
            superseding = _superseding(decisions, subject)
            if superseding is not None:
                raise conflict([superseding])
        found = contradictions(decisions, face_ids)
    # Contradictions that were there before do not keep anybody from deciding.
    new = sorted(found - contradictions(decisions, face_ids)) if found else []
    if new:
        with decisions.with_also(decision):
            raise conflict(evidence(decisions, new[0]))


def _already_holds(decisions: Decisions, decision: Decision) -> bool:
    """Whether the faces and people are already as this decision makes them."""
    match decision:
        case FaceNamed():
            return decisions.labels(decision.face_id).hard == decisions.person_of(decision.label_id)
        case NameTakenBack():
            return decisions.labels(decision.face_id).hard is None
        case NameRejected():
            return decisions.person_of(decision.label_id) in decisions.labels(decision.face_id).rejected
        case NotAFace():
            return decisions.labels(decision.face_id).not_a_face
        case FacesLinked():
            return decision.other_face_id in decisions.linked(decision.face_id)
        case FacesSeparated():
            return decision.other_face_id in decisions.separated(decision.face_id)
        case PersonRenamed():
            person = decisions.person(decision.label_id)
            authorities = (None, (person.authority or "") if person else None)
            return person is not None and person.name == decision.name and decision.authority in authorities
        case PersonRemoved():
            return decisions.person(decision.label_id) is None
        case PeopleMerged():
            return decisions.person_of(decision.label_id) == decisions.person_of(decision.other_label_id)
    return False


def _takes_effect(decisions: Decisions, decision: Decision) -> bool:
    # Who was named again after a removal is there, though the removal ended what was before it. Whether somebody is
    # sure is nothing that a later decision could keep from being so.
    return isinstance(decision, NotSure | PersonRemoved) or _already_holds(decisions, decision)


def _same_content(decisions: Decisions, one: Decision, other: Decision) -> bool:
    """Whether two decisions are of one kind, about the same faces and the same people."""
    contents = [
        (
            type(decision),
            set(decision.face_ids),
            {decisions.person_of(label_id) for label_id in decision.label_ids},
            decision.name if isinstance(decision, PersonRenamed) else None,
        )
        for decision in (one, other)
    ]
    return contents[0] == contents[1]


def _opposites(decisions: Decisions, decision: Decision) -> list[Decision]:
    """The decisions that take effect now and are the opposite of this one about the same face, pair or people."""
    if isinstance(decision, FaceDecision | PairDecision) and not isinstance(decision, NotAFace | NameTakenBack):
        others = [face_id for face_id in decision.face_ids if decisions.labels(face_id).not_a_face]
        if others:
            return [not_a_face(decisions, face_id) for face_id in others]
    match decision:
        case FaceNamed() if (label_id := decisions.person_of(decision.label_id)) in _rejected(decisions, decision):
            return [rejection(decisions, decision.face_id, label_id)]
        case NameRejected() if decisions.labels(decision.face_id).hard == decisions.person_of(decision.label_id):
            return [naming(decisions, decision.face_id)]
        case NotSure() if decisions.labels(decision.face_id).hard is not None:
            return [naming(decisions, decision.face_id)]
        case NotSure() if (label_id := decisions.person_of(decision.label_id)) in _rejected(decisions, decision):
            return [rejection(decisions, decision.face_id, label_id)]
        case NotAFace():
            hard = decisions.labels(decision.face_id).hard
            named = [] if hard is None else [naming(decisions, decision.face_id)]
            linked = sorted(decisions.linked(decision.face_id))
            return [*named, *(pair_decision(decisions, decision.face_id, other) for other in linked)]
        case FacesLinked() if decision.other_face_id in decisions.separated(decision.face_id):
            return [pair_decision(decisions, *decision.face_ids)]
        case FacesSeparated() if decision.other_face_id in decisions.linked(decision.face_id):
            return [pair_decision(decisions, *decision.face_ids)]
        case PeopleMerged():
            return _rejected_for_each_other(decisions, decision)
    return []


def _rejected(decisions: Decisions, decision: FaceDecision) -> frozenset[str]:
    return decisions.labels(decision.face_id).rejected


def _rejected_for_each_other(decisions: Decisions, decision: PeopleMerged) -> list[Decision]:
    """The naming and the rejection of a face that is one of the two people, and never the other."""
    one, other = (decisions.person_of(label_id) for label_id in decision.label_ids)
    for face_id in sorted(_faces_about(decisions, decision)):
        labels = decisions.labels(face_id)
        for hard, rejected in ((one, other), (other, one)):
            if labels.hard == hard and rejected in labels.rejected:
                return [naming(decisions, face_id), rejection(decisions, face_id, rejected)]
    return []


def _faces_about(decisions: Decisions, decision: PersonDecision) -> set[str]:
    """The faces that were ever decided to be one of these people, or not."""
    about = [other for label_id in decision.label_ids for other in decisions.about_person(label_id)]
    return {face_id for other in about for face_id in other.face_ids}


def _constrained_faces(decisions: Decisions, decision: PersonDecision) -> set[str]:
    """Those of these faces whose label matters to other faces."""
    return {
        face_id
        for face_id in _faces_about(decisions, decision)
        if decisions.linked(face_id) or decisions.separated(face_id)
    }


def _superseding(decisions: Decisions, subject: Decision) -> Decision | None:
    """The later decision about the label of the same face, or the same person, that keeps this one from an effect."""
    kinds = {
        PersonRenamed: (PersonRenamed, PersonRemoved),
        PeopleMerged: (PersonRemoved,),
    }.get(type(subject), (FaceNamed, NameTakenBack, NotAFace, PersonRemoved))

    def is_later(candidate: Decision) -> bool:
        return candidate.order > subject.order and isinstance(candidate, kinds)

    return latest_of(decisions, _histories(decisions, subject), is_later)
