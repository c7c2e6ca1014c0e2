"""A broker that takes a call of a transactional producer and never answers it: every writer gives up, and says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError

from decisions.actions import SayNotAFace
from errors import Fatal
from producers import dead_letters, decisions, generations, republisher
from producers.dead_letters import Letter
from producers.decisions import DecisionWriter
from producers.generations import change_generations, definition
from producers.republisher import Republisher
from schemas.clusters import Change, ClusterChanged
from schemas.generations import GenerationParameters, State
from schemas.topics import CLUSTERS, ERASURES, LABELS, SCANS
from settings import KafkaSettings
from stream import clients, log_copies, rolling
from stream.reading import end_of
from tests.builders.clock import NOON, now
from tests.builders.kafka import publish
from tests.builders.transforms import scan

Write = Callable[[KafkaSettings], object]

GREEN = definition(
    "green",
    GenerationParameters(distance="euclidean", eps=0.4, eps_max=0.5, min_samples=2, shared_weight=0, most_neighbours=9),
    State.BUILT,
    NOON,
)


def decide(kafka: KafkaSettings) -> None:
    with DecisionWriter(kafka, now) as writer:
        writer.decide([SayNotAFace(face_id="f")], "Ann")


def publish_again(kafka: KafkaSettings) -> None:
    with Republisher(kafka, now, {**end_of(kafka, SCANS), **end_of(kafka, ERASURES)}) as again:
        list(again.publish([scan("again")]))


def copy_log(kafka: KafkaSettings) -> None:
    publish(kafka, [ClusterChanged(cluster_id="c", change=Change.CREATED, size=1)])
    log_copies.rewrite(kafka, CLUSTERS, lambda _: None, "erasure")


WRITERS: list[tuple[Write, str]] = [
    (decide, "commit_transaction"),
    (publish_again, "commit_transaction"),
    (lambda kafka: change_generations(kafka, now, lambda _: [GREEN]), "commit_transaction"),
    (lambda kafka: dead_letters.drop(kafka, [Letter("scans", 0, 0, "detect", NOON)], now), "commit_transaction"),
    (copy_log, "abort_transaction"),
    (lambda kafka: rolling.roll(kafka, [LABELS]), "abort_transaction"),
]


@pytest.mark.parametrize("answered", [False, True], ids=["nothing is answered", "what begins is answered"])
@pytest.mark.parametrize(("write", "last_call"), WRITERS)
def test_a_call_that_is_never_answered_is_given_up(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch, write: Write, last_call: str, *, answered: bool
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(KafkaProducer, last_call if answered else "init_transactions", lambda _: ended.wait(60))
    monkeypatch.setattr(clients, "_BEGUN_WITHIN_S", 10.0 if answered else 0.5)
    for module in (dead_letters, decisions, generations, republisher, log_copies, rolling):
        monkeypatch.setattr(module, "_CONFIRM_S", 3.0)
    began = time.monotonic()
    try:
        with pytest.raises((Fatal, KafkaError), match="no answer within"):
            write(kafka)
    finally:
        ended.set()
    assert time.monotonic() - began < 20
