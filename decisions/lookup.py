"""Finding one decision among all by the beginning of its id, and the time of a new decision after those it knows."""

from __future__ import annotations

from datetime import timedelta

from decisions.holding import Decisions
from errors import UserError
from schemas.decisions import Decision, DecisionUndone

_MIN_SHORT_ID = 8


def find_decision(decisions: Decisions, prefix: str) -> Decision:
    """The one decision whose id is `prefix`, or else begins with it.

    Raises UserError when there is none, or more than one that begins so.
    """
    exact = decisions.get(prefix)
    if exact is not None:
        return exact
    matches = [decision for decision in decisions if decision.decision_id.startswith(prefix)]
    if not matches:
        raise UserError(f"there is no decision {prefix!r}")
    if len(matches) > 1:
        one, other, *_ = sorted(decision.decision_id for decision in matches)
        raise UserError(f"{prefix!r} is the beginning of more than one decision's id, {one} and {other} among them")
    return matches[0]


def short_id(decisions: Decisions, decision_id: str) -> str:
    """The shortest beginning of an id, of eight characters or more, that no other decision's id has now."""
    others = [decision.decision_id for decision in decisions if decision.decision_id != decision_id]
    prefixes = (decision_id[:length] for length in range(_MIN_SHORT_ID, len(decision_id)))
    unique = (prefix for prefix in prefixes if not any(other.startswith(prefix) for other in others))
    return next(unique, decision_id)


def timed_after_known(decisions: Decisions, decision: Decision) -> Decision:
    """The decision, later than all that it was made with knowledge of, even if the clock of another author is ahead.

    Those are the decisions about the same faces and about the same people, with or without a face, also under label ids
    that were ever merged with theirs, and the one that it undoes. Its time is set a microsecond after the latest of
    them where it is not later already. So among what writers have published the order of the log decides what takes
    effect, and clocks do not.
    """
    known = [earlier.decided_at for face_id in decision.face_ids for earlier in decisions.history(face_id)]
    for label_id in set().union(*map(decisions.ever_merged_with, decision.label_ids)):
        known += [earlier.decided_at for earlier in decisions.history_of_person(label_id)]
        known += [earlier.decided_at for earlier in decisions.about_person(label_id)]
    if isinstance(decision, DecisionUndone):
        undone = decisions.get(decision.undone_decision_id)
        known += [undone.decided_at] if undone else []
    if not known or decision.decided_at > max(known):
        return decision
    return decision.model_copy(update={"decided_at": max(known) + timedelta(microseconds=1)})
