"""What an author believed when they decided, and whether that is still so. Pure.

A page or a form is answered minutes after it was made. What somebody else decided meanwhile must not be overwritten
unseen: the answer comes with beliefs, and is refused where one of them is no longer true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from decisions.holding import Decisions
from decisions.refusals import Refusal
from decisions.wording import cite, describe
from errors import UserError
from schemas.decisions import Decision


class _Belief(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaceBelief(_Belief):
    """A face as its author saw it. label_id: its hard label. decision_id: that of the last decision about it."""

    face_id: str
    label_id: str | None
    decision_id: str | None

    @property
    def subject(self) -> str:
        """The id of the face."""
        return self.face_id


class PersonBelief(_Belief):
    """A person as the author saw them. decision_id: that of the last decision about the person alone."""

    label_id: str
    decision_id: str | None

    @property
    def subject(self) -> str:
        """The label id of the person."""
        return self.label_id


Belief = FaceBelief | PersonBelief

_PARSER: TypeAdapter[tuple[Belief, ...]] = TypeAdapter(tuple[Belief, ...])


class DecidedMeanwhile(UserError):
    """What the author of `attempted` believed is no longer so. The text has both decisions; nothing was published.

    other: what was decided meanwhile; None where a decision is no longer there. The texts are for people, `other_text`
    with author, date and id.
    """

    def __init__(
        self, belief: Belief, attempted: Decision, attempted_text: str, other: Decision | None, other_text: str
    ) -> None:
        super().__init__(
            f"meanwhile it was decided that {other_text}; that {attempted_text} was not published: look at it again"
        )
        self.belief = belief
        self.attempted = attempted
        self.attempted_text = attempted_text
        self.other = other
        self.other_text = other_text


def parse(values: Sequence[Any]) -> tuple[Belief, ...]:
    """Beliefs from JSON objects. Raises Refusal."""
    try:
        return _PARSER.validate_python(values)
    except ValidationError as error:
        text = f"not what is believed of a face or a person: {error.errors()[0]['msg']}"
        raise Refusal(text, "wrong-page") from error


def face_belief(decisions: Decisions, face_id: str) -> FaceBelief:
    """What is to be believed of a face now. An undo of a decision about it is a decision about it."""
    return FaceBelief(
        face_id=face_id,
        label_id=decisions.labels(face_id).hard,
        decision_id=_last_id(decisions.history(face_id)),
    )


def person_belief(decisions: Decisions, label_id: str) -> PersonBelief:
    """What is to be believed of a person now."""
    return PersonBelief(label_id=label_id, decision_id=_last_id(decisions.history_of_person(label_id)))


def outdated(decisions: Decisions, believed: Iterable[Belief]) -> list[Belief]:
    """The beliefs that are not true."""
    return [belief for belief in believed if not _is_true(decisions, belief)]


def check_beliefs(decisions: Decisions, believed: Iterable[Belief], attempted: Decision) -> None:
    """Raise DecidedMeanwhile where one of the beliefs is not true. `attempted` is the decision that was to be made."""
    for belief in outdated(decisions, believed):
        people = decisions.known_labels()
        other = _decided_meanwhile(decisions, belief)
        other_text = "an earlier decision is no longer there" if other is None else cite(other, people)
        raise DecidedMeanwhile(belief, attempted, describe(attempted, people), other, other_text)


def _is_true(decisions: Decisions, belief: Belief) -> bool:
    if isinstance(belief, PersonBelief):
        return person_belief(decisions, belief.label_id) == belief
    now = face_belief(decisions, belief.face_id)
    if belief.label_id is not None:
        # A person who was merged into another since is still the same person.
        belief = belief.model_copy(update={"label_id": decisions.person_of(belief.label_id)})
    return now == belief


def _decided_meanwhile(decisions: Decisions, belief: Belief) -> Decision | None:
    """The latest decision that the author did not know of; None where one that they knew is no longer there."""
    if isinstance(belief, PersonBelief):
        history = decisions.history_of_person(belief.label_id)
    else:
        history = decisions.history(belief.face_id)
        if _last_id(history) == belief.decision_id and belief.label_id is not None:
            # The label changed without a decision about the face: the person was removed, or that was undone.
            history = decisions.history_of_person(belief.label_id)
    last = history[-1] if history else None
    return None if last is not None and last.decision_id == belief.decision_id else last


def _last_id(history: Sequence[Decision]) -> str | None:
    return history[-1].decision_id if history else None
