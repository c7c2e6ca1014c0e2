"""Changing what is on `generations`: one change at a time, each made with knowledge of all before it.

All writers have one transactional id, so whoever begins to write ends the right of the one before (KIP-98, fencing):
nobody promotes what another is retiring. A change is published so:

1. Begin to write.
2. Read what is there, and decide what to publish, or refuse.
3. Publish it in one transaction. If another writer has begun since 1, the broker refuses it: again from 1, unless it
   is there, where only the broker's answer was lost.
4. Wait until readers see it: the broker confirms a transaction shortly before that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from kafka import KafkaProducer
from kafka.errors import KafkaError

from errors import Fatal
from schemas.codec import encode
from schemas.generations import GenerationDefined, GenerationParameters, GenerationPromoted, State
from schemas.topics import FACES, GENERATIONS, NEIGHBOURS, Tombstone, Topic
from settings import KafkaSettings
from stream import clients
from stream.generations import Generations, read_generations, topics_of

Change = GenerationDefined | GenerationPromoted | Tombstone

_TRANSACTIONAL_ID = "facestream-generations"
_TRANSACTION_TIMEOUT_MS = 10_000
_CONFIRM_S = 30.0
_ATTEMPTS = 20


def definition(
    name: str,
    parameters: GenerationParameters,
    state: State,
    now: datetime,
    since: int = 0,
    neighbours: Topic = NEIGHBOURS,
    faces: Topic = FACES,
) -> GenerationDefined:
    """A generation that reads a topic of neighbours from the offset `since` on, in this state since `now`.

    faces: the analyses among which these were found.
    """
    assignments, clusters = topics_of(name)
    return GenerationDefined(
        name=name,
        parameters=parameters,
        state=state,
        changed_at=now,
        neighbours=neighbours.name,
        assignments=assignments.name,
        clusters=clusters.name,
        since=since,
        faces=faces.name,
    )


def change_generations(
    kafka: KafkaSettings, now: Callable[[], datetime], change: Callable[[Generations], Sequence[Change]]
) -> Generations:
    """Publish what `change` returns for the generations that there are; the generations before it.

    On return, whoever reads the topic sees it. Raises what `change` raises, having published nothing, and errors.Fatal
    where the broker does not confirm.
    """
    sent: Sequence[Change] = ()
    before: Generations | None = None
    failed: KafkaError | None = None
    for _ in range(_ATTEMPTS):
        producer = clients.producer(
            kafka, transactional_id=_TRANSACTIONAL_ID, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
        )
        try:
            clients.begin_transactions(producer)
            present = read_generations(kafka)
            if before is not None and _shows(present, sent):
                return before
            before, sent = present, change(present)
            failed = _published(producer, sent, now) if sent else None
            if failed is None:
                _await(kafka, sent)
                return before
            if isinstance(failed, clients.NoAnswer):
                raise failed
        except KafkaError as error:
            raise Fatal(f"the Kafka broker at {kafka.bootstrap_servers} did not confirm it ({error})") from error
        finally:
            clients.close_producer(producer, within_s=5)
    raise Fatal(f"the generations were not changed: others change them, or the broker refuses it ({failed}): try again")


def _published(producer: KafkaProducer, changes: Sequence[Change], now: Callable[[], datetime]) -> KafkaError | None:
    """Step 3. The error where the broker did not confirm: another writer has begun, or the answer was lost.

    kafka-python's error does not show which: it goes on as if it could recover, and then refuses the next call.
    """
    try:
        producer.begin_transaction()
        for one in changes:
            record = encode(one, event_id=str(uuid4()), time=now())
            producer.send(GENERATIONS.name, key=record.key, value=record.value, headers=list(record.headers))
        producer.flush(timeout=_CONFIRM_S)
        clients.bounded(producer.commit_transaction, _CONFIRM_S)
    except KafkaError as error:
        return error
    return None


def _await(kafka: KafkaSettings, changes: Sequence[Change]) -> None:
    deadline = time.monotonic() + _CONFIRM_S
    while not _shows(read_generations(kafka), changes):
        if time.monotonic() > deadline:
            raise Fatal(f"the Kafka broker at {kafka.bootstrap_servers} confirmed it, but does not show it to readers")


def _shows(generations: Generations, changes: Sequence[Change]) -> bool:
    return all(
        one == generations.promoted
        if isinstance(one, GenerationPromoted)
        else generations.defined.get(one.key) == (one if isinstance(one, GenerationDefined) else None)
        for one in changes
    )
