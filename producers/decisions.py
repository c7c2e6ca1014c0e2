"""Archivists' decisions in Kafka: all of them read from `labels`, and new ones checked and published to it.

Two writers cannot decide past each other, be they in one process or on two machines. All of them have one transactional
id, so whoever begins to write ends the right of the one before (KIP-98, fencing). A decision is published so:

1. Begin to write, unless this writer did and was not overtaken since.
2. Read what others have published.
3. Check the beliefs of the author, then each decision against all others.
4. Publish the decisions in one transaction. If another writer has begun since 1, the broker refuses it: again from 1.
5. Wait until readers see them: the broker confirms a transaction shortly before that.

Where the broker does not answer to 4 it is unknown whether it has taken the decisions. Step 1 settles that, because it
ends what the broker has open of any writer, and step 2 shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from uuid import uuid4

from kafka import KafkaProducer
from kafka.errors import KafkaError

from decisions.actions import Action, decision_of
from decisions.beliefs import Belief, check_beliefs, outdated
from decisions.conflicts import AlreadyHolds, check
from decisions.holding import DecisionDeleted, Decisions
from decisions.lookup import timed_after_known
from decisions.wording import describe
from errors import Fatal
from schemas.codec import encode
from schemas.decisions import Decision, DecisionUndone, FaceNamed
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from stream import clients
from stream.following import Follower
from stream.records import Received

_TRANSACTIONAL_ID = "facestream-decisions"

# How long an open transaction of a killed process may hold up readers, if nobody decides anything after it.
_TRANSACTION_TIMEOUT_MS = 10_000

# So often may other writers overtake this one before it gives up. Each of them has then published something.
_ATTEMPTS = 20

_CONFIRM_S = 30.0
_CLOSE_S = 5.0


@dataclass(frozen=True)
class Decided:
    """What came of some actions.

    decisions: as they were published, in the order of the actions. texts: each of them as a clause for a person.
    already: of each action that would have changed nothing, why. Nothing was published for it.
    """

    decisions: tuple[Decision, ...] = ()
    texts: tuple[str, ...] = ()
    already: tuple[str, ...] = ()


def read_decisions(kafka: KafkaSettings) -> Decisions:
    """All decisions that are on `labels` now. Raises errors.Fatal when the broker does not answer."""
    with DecisionWriter(kafka, _no_clock) as writer:
        return writer.decisions


class DecisionWriter(AbstractContextManager["DecisionWriter"]):
    """All decisions that are on `labels`, and the way to publish more. Several threads may use one writer.

    `decisions` are those as of the last `refresh` or `decide`; only the writer changes them.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime]) -> None:
        """Read all decisions. Raises errors.Fatal when the broker does not answer."""
        self.decisions = Decisions()
        self._kafka = kafka
        self._now = now
        self._lock = threading.RLock()
        self._producer: KafkaProducer | None = None
        self._topic = Follower(kafka, LABELS)
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def refresh(self) -> None:
        """Read what was published since. Raises errors.Fatal when the broker does not answer."""
        with self._lock:
            try:
                news = self._topic.news()
            except KafkaError as error:
                raise Fatal(self._lost(f"does not answer ({error})")) from error
            if news.is_another:
                self.decisions = Decisions()
            self.decisions.apply(_changes(news.received))

    @contextmanager
    def reading(self) -> Iterator[Decisions]:
        """The decisions, which stay as they are until the end of the context."""
        with self._lock:
            yield self.decisions

    def decide(
        self, actions: Sequence[Action], author: str, note: str | None = None, believed: Sequence[Belief] = ()
    ) -> Decided:
        """Publish the decisions that these actions make, all or none. On return, whoever reads `labels` sees them.

        Each is checked against all decisions and those before it here. Its time is moved after those of the decisions
        that it was made with knowledge of (decisions.lookup).

        Raises, having published nothing, decisions.beliefs.DecidedMeanwhile where something that the author believed
        is no longer so, decisions.conflicts.ConflictError where a decision contradicts others, and errors.UserError
        where an action cannot be made a decision of. Raises errors.Fatal when the broker does not confirm.
        """
        sent: Decided | None = None
        failed: KafkaError | None = None
        with self._lock:
            for _ in range(_ATTEMPTS):
                producer = self._begin(sent)
                self.refresh()
                if sent is not None and all(self.decisions.get(it.decision_id) for it in sent.decisions):
                    return sent
                with self._made(actions, author, note, believed) as sent:
                    failed = self._publish(producer, sent.decisions) if sent.decisions else None
                if failed is None:
                    self._await(sent.decisions)
                    return sent
        # kafka-python's error often does not show which (see `producers.generations`).
        line = (
            f"nothing was decided: others decide at the same moment, or the broker refuses it ({failed}): decide again"
        )
        raise Fatal(line)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._stop()
        self._topic.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, sent: Decided | None) -> KafkaProducer:
        """Step 1: end the right of every other writer, unless this one has it already.

        `sent`: what may have been published before.
        """
        if self._producer is not None:
            return self._producer
        self._producer = clients.producer(
            self._kafka, transactional_id=_TRANSACTIONAL_ID, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
        )
        try:
            clients.begin_transactions(self._producer)
        except KafkaError as error:
            self._stop()
            raise self._unconfirmed(error, sent.decisions if sent else ()) from error
        return self._producer

    def _stop(self) -> None:
        if self._producer is not None:
            clients.close_producer(self._producer, _CLOSE_S)
            self._producer = None

    @contextmanager
    def _made(
        self, actions: Sequence[Action], author: str, note: str | None, believed: Sequence[Belief]
    ) -> Iterator[Decided]:
        """Step 3: the decisions, among the others until the end of the context."""
        made: list[Decision] = []
        texts: list[str] = []
        already: list[str] = []
        # Each is reported with the first action about its face or person.
        wrong = outdated(self.decisions, believed)
        subjects = {subject for action in actions for subject in action.subjects}
        try:
            for action in actions:
                decision = timed_after_known(
                    self.decisions, decision_of(action, self.decisions, author, note, self._now())
                )
                about = [it for it in wrong if it.subject in action.subjects or it.subject not in subjects]
                check_beliefs(self.decisions, about, decision)
                try:
                    check(self.decisions, decision)
                except AlreadyHolds as holds:
                    already.append(str(holds))
                    continue
                before = self._name_before(decision)
                self.decisions.apply([decision])
                made.append(decision)
                texts.append(self._text(decision, before))
            yield Decided(tuple(made), tuple(texts), tuple(already))
        finally:
            self.decisions.apply(DecisionDeleted(decision.decision_id) for decision in made)

    def _name_before(self, decision: Decision) -> str | None:
        """The name that a naming replaces."""
        if not isinstance(decision, FaceNamed):
            return None
        label_id = self.decisions.labels(decision.face_id).hard
        person = None if label_id in (None, decision.label_id) else self.decisions.person(str(label_id))
        return person.name if person else None

    def _text(self, decision: Decision, name_before: str | None) -> str:
        people = self.decisions.known_labels()
        if isinstance(decision, DecisionUndone):
            subject = self.decisions.subject(decision) or decision
            return f"{'restored' if self.decisions.holds(subject) else 'undone'}: {describe(subject, people)}"
        return describe(decision, people) + (f", no longer {name_before}" if name_before else "")

    def _publish(self, producer: KafkaProducer, decisions: Sequence[Decision]) -> KafkaError | None:
        """Step 4. The error where the broker did not confirm: another writer has begun, or it refuses, or is gone.

        Raises Fatal where it does not answer at all: every further attempt would take as long.
        """
        try:
            producer.begin_transaction()
            for decision in decisions:
                record = encode(decision, event_id=str(uuid4()), time=self._now())
                producer.send(LABELS.name, key=record.key, value=record.value, headers=list(record.headers))
            producer.flush(timeout=_CONFIRM_S)
            clients.bounded(producer.commit_transaction, _CONFIRM_S)
        except clients.NoAnswer as error:
            self._stop()
            raise self._unconfirmed(error, decisions) from error
        except KafkaError as error:
            self._stop()
            return error
        return None

    def _await(self, decisions: Sequence[Decision]) -> None:
        """Step 5: read until these decisions are there, which the broker has confirmed."""
        deadline = time.monotonic() + _CONFIRM_S
        while not all(self.decisions.get(decision.decision_id) for decision in decisions):
            if time.monotonic() > deadline:
                raise Fatal(self._lost("confirmed decisions, but does not show them to readers"))
            self.refresh()

    def _unconfirmed(self, error: KafkaError, decisions: Sequence[Decision]) -> Fatal:
        """decisions: what may have been published."""
        ids = ", ".join(decision.decision_id for decision in decisions)
        advice = f"; see `facestream history` for decision {ids}, and decide again if it is not there" * bool(ids)
        return Fatal(self._lost(f"did not confirm the decision ({error})") + advice)

    def _lost(self, what: str) -> str:
        return f"the Kafka broker at {self._kafka.bootstrap_servers} {what}"


def _changes(received: Sequence[Received]) -> Iterator[Decision | DecisionDeleted]:
    for record in received:
        if isinstance(record.message, Tombstone):
            yield DecisionDeleted(record.message.key)
        elif isinstance(record.message, Decision):
            yield record.message


def _no_clock() -> datetime:
    raise LookupError("what only reads decisions needs no clock")
