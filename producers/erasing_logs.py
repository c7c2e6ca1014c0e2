"""Taking what a plan names out of the topics that are not compacted: the logs of clusters, and the dead letters.

What is left of them is copied behind what is there; it may be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from pydantic import ValidationError

from erasure.search import Finder
from producers.confirmed import send
from producers.erasure_plan import Plan, finder_of
from schemas.clusters import ClusterChanged
from schemas.codec import encoded
from schemas.dead_letters import DeadLetter, Settled, encode_settled
from schemas.topics import CLUSTERS, DEAD_LETTERS, Record, Topic
from settings import KafkaSettings
from stream.generations import read_generations
from stream.log_copies import Copied, rewrite
from stream.reading import read_to_end

Change = Callable[[Record], Record | None]
"""What stays of a record; None for nothing."""


def rewrite_logs(kafka: KafkaSettings, plan: Plan, now: Callable[[], datetime]) -> Mapping[str, Copied]:
    """Take it out of the logs of all generations, and of the dead letters. Returns what was copied, by topic.

    Raises errors.Fatal where the broker does not confirm, and KafkaError where it does not answer.
    """
    finder = finder_of(plan)
    changes = {topic: _of_clusters(kafka, topic, plan) for topic in read_generations(kafka).topics_like(CLUSTERS)}
    _settle(kafka, finder, now)
    changes[DEAD_LETTERS] = lambda record: None if _is_traced(record, finder) else record
    copied = {topic.name: rewrite(kafka, topic, change, plan.erasure_id) for topic, change in changes.items()}
    return {name: one for name, one in copied.items() if one is not None}


def _of_clusters(kafka: KafkaSettings, topic: Topic, plan: Plan) -> Change:
    """Takes erased faces out of changes of clusters, which are called after faces."""
    gone = plan.face_ids
    traces = {one.encode() for one in gone}
    successors: dict[str, str] = {}
    for received in read_to_end(kafka, topic):
        message = received.message
        if isinstance(message, ClusterChanged) and message.cluster_id in gone and message.successor:
            successors[message.cluster_id] = message.successor

    def continued(cluster_id: str | None) -> str | None:
        seen: set[str] = set()
        while cluster_id is not None and cluster_id in gone:
            if cluster_id in seen:
                return None
            seen.add(cluster_id)
            cluster_id = successors.get(cluster_id)
        return cluster_id

    def change(record: Record) -> Record | None:
        key, text = record.key or b"", record.value or b""
        if key not in traces and not any(one in text for one in traces):
            return record
        try:
            event = ClusterChanged.model_validate_json(text)
        except ValidationError:
            # Nobody can read it, and it has such an id.
            return None
        if key in traces or event.cluster_id in gone:
            return None
        parts = dict.fromkeys(one for part in event.parts if (one := continued(part)) is not None)
        successor = continued(event.successor)
        left = event.model_copy(
            update={"successor": successor if successor != event.cluster_id else None, "parts": tuple(parts)}
        )
        return Record(record.key, encoded(left), record.headers)

    return change


def _settle(kafka: KafkaSettings, finder: Finder, now: Callable[[], datetime]) -> None:
    """Drop the dead letters that hold what is erased, so that the catalogue has them no more."""
    open_letters: dict[str, DeadLetter] = {}
    for received in read_to_end(kafka, DEAD_LETTERS):
        message = received.message
        if isinstance(message, DeadLetter) and _is_traced(received.record, finder):
            open_letters[message.id] = message
        elif isinstance(message, Settled):
            open_letters.pop(message.id, None)
    settled = (
        Settled(it.topic, it.partition, it.offset, it.consumer, "dropped", now()) for it in open_letters.values()
    )
    send(kafka, [(DEAD_LETTERS, encode_settled(one)) for one in settled])


def _is_traced(record: Record, finder: Finder) -> bool:
    headers = b"".join(name.encode() + b"\0" + (value or b"") + b"\0" for name, value in record.headers)
    return bool(finder.found(b"\0".join((record.key or b"", record.value or b"", headers))))
