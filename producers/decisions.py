"""An archivist's desk: what was decided, read from `labels`, and one more decision checked and published to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from decisions.conflicts import check
from decisions.holding import DecisionDeleted, Decisions
from errors import UserError
from producers.publisher import Publisher
from schemas.decisions import Decision, DecisionUndone
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end

_SHORT_ID = 8


def read_decisions(kafka: KafkaSettings) -> Decisions:
    """All that was decided until now. Raises errors.Fatal."""
    held = Decisions()
    messages = (received.message for received in read_to_end(kafka, LABELS))
    said = (DecisionDeleted(it.key) if isinstance(it, Tombstone) else it for it in messages)
    held.apply(it for it in said if isinstance(it, Decision | DecisionDeleted))
    return held


def decide(kafka: KafkaSettings, held: Decisions, decision: Decision, now: Callable[[], datetime]) -> Decision:
    """Publish a decision that was made knowing `held`; once this returns, Kafka has it. The decision as published.

    Raises decisions.conflicts.ConflictError and AlreadyHolds, having published nothing, and errors.Fatal.
    """
    decision = _after(held, decision)
    check(held, decision)
    advice = f"see `facestream history` for decision {decision.decision_id}, and decide again if it is not there"
    with Publisher(kafka, now, "decisions", advice) as publisher:
        publisher.send(decision)
    held.apply([decision])
    return decision


def decision_of(held: Decisions, prefix: str) -> Decision:
    """The one decision whose id is this or begins with this. Raises UserError where there is none or more than one."""
    exact = held.get(prefix)
    if exact is not None:
        return exact
    found = [it for it in held if it.decision_id.startswith(prefix)]
    if not found:
        raise UserError(f"there is no decision {prefix!r}")
    if len(found) > 1:
        one, other, *_ = sorted(it.decision_id for it in found)
        raise UserError(f"{prefix!r} is the beginning of more than one decision's id, {one} and {other} among them")
    return found[0]


def shortened(held: Decisions, decision_id: str) -> str:
    """The beginning of a decision's id that no other decision has now, of eight characters or more."""
    others = [it.decision_id for it in held if it.decision_id != decision_id]
    lengths = range(_SHORT_ID, len(decision_id))
    unique = (decision_id[:it] for it in lengths if not any(other.startswith(decision_id[:it]) for other in others))
    return next(unique, decision_id)


def _after(held: Decisions, decision: Decision) -> Decision:
    """The decision, later than those it is made in the knowledge of, also where another's clock is ahead."""
    known = [it.decided_at for face_id in decision.face_ids for it in held.history(face_id)]
    if isinstance(decision, DecisionUndone):
        undone = held.get(decision.undone_decision_id)
        known += [undone.decided_at] if undone else []
    if not known or decision.decided_at > max(known):
        return decision
    return decision.model_copy(update={"decided_at": max(known) + timedelta(microseconds=1)})
