"""Archivists' decisions in Kafka: all of them read from `labels`, and a new one checked and published to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from decisions.conflicts import check
from decisions.holding import DecisionDeleted, Decisions
from decisions.lookup import timed_after_known
from producers.publisher import Publisher
from schemas.decisions import Decision
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end


def read_decisions(kafka: KafkaSettings) -> Decisions:
    """All decisions that are on `labels` now. Raises errors.Fatal when the broker does not answer."""
    decisions = Decisions()
    messages = (received.message for received in read_to_end(kafka, LABELS))
    changes = (DecisionDeleted(message.key) if isinstance(message, Tombstone) else message for message in messages)
    decisions.apply(change for change in changes if isinstance(change, Decision | DecisionDeleted))
    return decisions


def publish_decision(
    kafka: KafkaSettings, decisions: Decisions, decision: Decision, now: Callable[[], datetime]
) -> Decision:
    """Check a decision against the earlier ones, publish it, add it to `decisions`, and return it as published.

    Its time is moved after those of the decisions that it was made with knowledge of (decisions.lookup). When this
    returns, the broker has confirmed it. Raises decisions.conflicts.ConflictError and AlreadyHolds, having published
    nothing, and errors.Fatal when the broker does not confirm it.
    """
    decision = timed_after_known(decisions, decision)
    check(decisions, decision)
    advice = f"see `facestream history` for decision {decision.decision_id}, and decide again if it is not there"
    with Publisher(kafka, now, "decisions", advice) as publisher:
        publisher.send(decision)
    decisions.apply([decision])
    return decision
