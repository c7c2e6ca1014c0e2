"""What speaks against a decision: the earlier ones that it conflicts with. Pure: no Kafka.

Linked faces are one person, whatever chain of links joins them, and separated faces are two. So these cannot hold at
once, and whoever decides is told before it is written down. (Two people who decide at the same moment are not: what
comes of that is in `decisions.holding`.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from decisions.holding import DecisionDeleted, Decisions
from decisions.wording import cited, told
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
    """A decision conflicts with earlier ones. The text names them and says how to proceed."""


class AlreadySo(Exception):
    """What is to be decided holds already. The text says by which decision."""


class _Contradiction(NamedTuple):
    """Two faces, joined by links or the same one, about which what was decided cannot all be true."""

    face_id: str
    other_face_id: str
    # apart: linked and separated. names: linked, of two names. never: the first has a name that is rejected for the
    # other. both: separated, of one name.
    why: str
    label_id: str = ""


def check(held: Decisions, decision: Decision) -> None:
    """Raise ConflictError or AlreadySo where this is not to be decided. `held` is what was decided until now."""
    if isinstance(decision, DecisionUndone):
        subject = _undone(held, decision)
    else:
        subject = decision
        _refuse_repetition(held, decision)
    if subject is not None:
        _check_result(held, decision, subject)


def _refuse_repetition(held: Decisions, decision: Decision) -> None:
    people = held.people()
    if not _is_said(held, decision):
        return
    if isinstance(decision, FaceNamed):
        person = people[decision.label_id]
        if person.name != decision.name or decision.authority not in (None, person.authority):
            # It says something new of the person.
            return
    because = _last(held, decision.face_ids, lambda it: _says_the_same(it, decision))
    raise AlreadySo(cited(because, people) if because else told(decision, people))


def _says_the_same(one: Decision, other: Decision) -> bool:
    about = [(type(it), set(it.face_ids), getattr(it, "label_id", None)) for it in (one, other)]
    return about[0] == about[1]


def _undone(held: Decisions, decision: DecisionUndone) -> Decision | None:
    """The decision about faces that an undo puts out of force or into it again; None where that is not known."""
    undone = held.get(decision.undone_decision_id)
    if undone is None:
        raise ConflictError(f"there is no decision {decision.undone_decision_id}")
    if not held.holds(undone):
        undo = next(it for it in held.undos(undone) if held.holds(it))
        raise ConflictError(
            f"that was undone before: {cited(undo, held.people())}; to restore it: facestream undo {undo.decision_id}"
        )
    return behind(held, decision)


def behind(held: Decisions, decision: Decision) -> Decision | None:
    """The decision about faces at the end of a chain of undos; None where that is not known."""
    seen: set[str] = set()
    while isinstance(decision, DecisionUndone):
        undone = held.get(decision.undone_decision_id)
        if undone is None or undone.decision_id in seen:
            return None
        seen.add(undone.decision_id)
        decision = undone
    return decision


def _check_result(held: Decisions, decision: Decision, subject: Decision) -> None:
    """Compare what holds without the decision and with it, as far as its subject's faces are concerned."""
    ends = held.get(subject.decision_id) is not None and held.holds(subject)
    what = f"that {told(subject, held.people())}"
    if decision is not subject:
        what = f"undoing {what}" if ends else f"{what}, again,"

    def refuse(earlier: Iterable[Decision]) -> ConflictError:
        people = held.people()
        others = [it for it in earlier if it not in (decision, subject)]
        cites = " and ".join(cited(it, people) for it in others)
        ways = " or ".join(f"facestream undo {it.decision_id}" for it in others)
        return ConflictError(f"{what} conflicts with what was decided before: {cites}; to take that back first: {ways}")

    contrary = None if ends else _contrary(held, subject)
    if contrary is not None:
        raise refuse([contrary])
    before = _contradictions(held, subject.face_ids)
    with _as_if(held, decision):
        if held.holds(subject) and not _is_said(held, subject):
            raise refuse([_since(held, subject)])
        new = sorted(_contradictions(held, subject.face_ids) - before)
        if new:
            raise refuse(_rests_on(held, new[0]))


@contextmanager
def _as_if(held: Decisions, decision: Decision) -> Iterator[None]:
    held.take([decision])
    try:
        yield
    finally:
        held.take([DecisionDeleted(decision.decision_id)])


def _is_said(held: Decisions, decision: Decision) -> bool:
    """Whether what holds now is what this decision says."""
    match decision:
        case FaceNamed():
            return held.labels(decision.face_id).hard == decision.label_id
        case NameTakenBack():
            return held.labels(decision.face_id).hard is None
        case NameRejected():
            return decision.label_id in held.labels(decision.face_id).rejected
        case FacesLinked():
            return decision.other_face_id in held.linked(decision.face_id)
        case FacesSeparated():
            return decision.other_face_id in held.separated(decision.face_id)
    return False


def _contrary(held: Decisions, decision: Decision) -> Decision | None:
    """The decision that says the opposite of this one about the same face or pair."""
    match decision:
        case FaceNamed() if decision.label_id in held.labels(decision.face_id).rejected:
            return _rejection(held, decision.face_id, decision.label_id)
        case NameRejected() if held.labels(decision.face_id).hard == decision.label_id:
            return _naming(held, decision.face_id)
        case FacesLinked() if decision.other_face_id in held.separated(decision.face_id):
            return _pair(held, *decision.face_ids)
        case FacesSeparated() if decision.other_face_id in held.linked(decision.face_id):
            return _pair(held, *decision.face_ids)
    return None


def _since(held: Decisions, subject: Decision) -> Decision:
    """The later decision about the name of the same face that keeps this one from taking effect."""

    def is_later(it: Decision) -> bool:
        return it.order > subject.order and isinstance(it, FaceNamed | NameTakenBack)

    return _known(_last(held, subject.face_ids, is_later))


def _contradictions(held: Decisions, face_ids: Sequence[str]) -> set[_Contradiction]:
    """All there are among these faces, the faces that they are linked with, and those that are separated from these."""
    found: set[_Contradiction] = set()
    for one_person in {frozenset(_ways(held, face_id)) for face_id in face_ids}:
        names = _names(held, one_person)
        for face_id, label_id in names.items():
            found |= {
                _Contradiction(face_id, other, "names")
                for other, other_label_id in names.items()
                if face_id < other and label_id != other_label_id
            }
            found |= {
                _Contradiction(face_id, other, "never", label_id)
                for other in one_person
                if label_id in held.labels(other).rejected
            }
        for face_id in one_person:
            for other in held.separated(face_id):
                pair = min(face_id, other), max(face_id, other)
                if other in one_person:
                    found.add(_Contradiction(*pair, "apart"))
                else:
                    in_both = set(names.values()) & set(_names(held, _ways(held, other)).values())
                    found |= {_Contradiction(*pair, "both", label_id) for label_id in in_both}
    return found


def _rests_on(held: Decisions, contradiction: _Contradiction) -> list[Decision]:
    """The decisions that make the contradiction together."""
    face_id, other, why, label_id = contradiction
    if why == "both":
        return [
            _pair(held, face_id, other),
            *_way_to_name(held, face_id, label_id),
            *_way_to_name(held, other, label_id),
        ]
    way = _ways(held, face_id)[other]
    if why == "apart":
        return [_pair(held, face_id, other), *way]
    against = _naming(held, other) if why == "names" else _rejection(held, other, label_id)
    return [_naming(held, face_id), against, *way]


def _ways(held: Decisions, face_id: str) -> dict[str, list[Decision]]:
    """The faces that are one person with this one, itself included, each with the links that lead there."""
    ways: dict[str, list[Decision]] = {face_id: []}
    waiting = deque([face_id])
    while waiting:
        here = waiting.popleft()
        for other in sorted(held.linked(here)):
            if other not in ways:
                ways[other] = [*ways[here], _pair(held, here, other)]
                waiting.append(other)
    return ways


def _names(held: Decisions, face_ids: Iterable[str]) -> dict[str, str]:
    """The labels that people gave to these faces, as far as they did."""
    labels = {face_id: held.labels(face_id).hard for face_id in face_ids}
    return {face_id: label_id for face_id, label_id in labels.items() if label_id is not None}


def _way_to_name(held: Decisions, face_id: str, label_id: str) -> list[Decision]:
    """Why a face is this person: the links to the nearest face that was named so, and its naming."""
    ways = _ways(held, face_id)
    named = next(it for it, label in _names(held, ways).items() if label == label_id)
    return [*ways[named], _naming(held, named)]


def _naming(held: Decisions, face_id: str) -> Decision:
    return _known(_last(held, [face_id], lambda it: isinstance(it, FaceNamed)))


def _rejection(held: Decisions, face_id: str, label_id: str) -> Decision:
    return _known(_last(held, [face_id], lambda it: isinstance(it, NameRejected) and it.label_id == label_id))


def _pair(held: Decisions, face_id: str, other: str) -> Decision:
    return _known(
        _last(held, [face_id], lambda it: isinstance(it, PairDecision) and set(it.face_ids) == {face_id, other})
    )


def _last(held: Decisions, face_ids: Sequence[str], wanted: Callable[[Decision], bool]) -> Decision | None:
    """The last decision about the first of these faces that holds and is as wanted."""
    history = reversed(held.history(face_ids[0]))
    return next((it for it in history if held.holds(it) and wanted(it)), None)


def _known(decision: Decision | None) -> Decision:
    if decision is None:
        raise LookupError("what holds rests on a decision, and there is none")
    return decision
