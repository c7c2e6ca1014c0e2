"""Following a short topic on a real broker, also where it is another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from producers.decisions import DecisionWriter
from producers.generations import definition
from schemas.decisions import Decision
from schemas.erasures import ErasureState, FacesErased
from schemas.generations import FIRST, GenerationParameters, State
from schemas.topics import ERASURES, GENERATIONS, LABELS
from settings import KafkaSettings
from stream.erasures import Erasures
from stream.following import Follower, News
from stream.generations import GenerationsReader
from tests.builders.clock import NOON, wait_until
from tests.builders.decisions import named
from tests.builders.kafka import broker, lose_records_after, publish, recreate


@pytest.fixture
def follower(kafka: KafkaSettings) -> Iterator[Follower]:
    recreate(kafka, LABELS)
    with Follower(kafka, LABELS) as follower:
        yield follower


def ids(news: News) -> list[str]:
    return [one.message.decision_id for one in news.received if isinstance(one.message, Decision)]


def news_of_another(follower: Follower) -> News:
    """What it has of the other topic, once it has noticed that it is another one."""
    seen: list[News] = []

    def is_noticed() -> bool:
        seen.append(follower.news())
        return seen[-1].is_another

    wait_until(is_noticed, "the other topic is not noticed", within_s=60)
    return seen[-1]


def test_what_came_since_is_read_once(kafka: KafkaSettings, follower: Follower) -> None:
    assert follower.news() == News([])
    publish(kafka, [named(1, "f", "anna"), named(2, "f", "anna")])
    assert ids(follower.news()) == ["001", "002"]
    assert follower.news() == News([])
    publish(kafka, [named(3, "f", "anna")])
    with Follower(kafka, LABELS, 1) as late:
        assert ids(late.news()) == ["002", "003"]
    assert ids(follower.news()) == ["003"]


def test_a_topic_that_ends_before_what_was_read_is_read_from_its_beginning(
    kafka: KafkaSettings, follower: Follower
) -> None:
    publish(kafka, [named(1, "f", "anna"), named(2, "f", "anna")])
    follower.news()
    recreate(kafka, LABELS)
    publish(kafka, [named(9, "f", "bert")])
    news = follower.news()
    assert (ids(news), news.is_another) == (["009"], True)
    assert follower.news() == News([])


def test_a_topic_that_was_recreated_and_has_as_many_records_is_read_from_its_beginning(
    kafka: KafkaSettings, follower: Follower
) -> None:
    publish(kafka, [named(1, "f", "anna")])
    follower.news()
    recreate(kafka, LABELS)
    publish(kafka, [named(8, "f", "bert"), named(9, "f", "bert")])
    assert ids(news_of_another(follower)) == ["008", "009"]


def test_a_topic_that_was_restored_and_has_grown_past_what_was_read_is_read_from_its_beginning(tmp_path: Path) -> None:
    """It is the same topic, with other records at offsets that were read. Its leader epoch distinguishes them."""
    log = tmp_path / "kafka" / "log"
    with ExitStack() as stack:
        with broker(tmp_path) as kafka:
            publish(kafka, [named(1, "f", "anna")])
            (segment,) = log.glob("labels-0/*.log")
            kept = segment.stat().st_size
            follower = stack.enter_context(Follower(kafka, LABELS))
            publish(kafka, [named(2, "f", "anna"), named(3, "f", "anna")])
            assert ids(follower.news()) == ["001", "002", "003"]
        lose_records_after(segment, kept)
        with broker(tmp_path) as kafka:
            publish(kafka, [named(number, "f", "bert") for number in (7, 8, 9)])
            assert ids(news_of_another(follower)) == ["001", "007", "008", "009"]


def test_whoever_knows_what_a_topic_says_forgets_it_with_the_topic(kafka: KafkaSettings) -> None:
    erased = FacesErased(erasure_id="e", erased_at=NOON, state=ErasureState.BEGUN, key_id="0" * 32)
    parameters = GenerationParameters(
        distance="euclidean", eps=0.4, eps_max=0.5, min_samples=2, shared_weight=0, most_neighbours=9
    )
    green = definition("green", parameters, State.BUILT, NOON)
    with DecisionWriter(kafka, lambda: NOON) as writer, GenerationsReader(kafka) as reader, Erasures(kafka, 0) as known:
        publish(kafka, [named(1, "face", "anna"), green, erased])
        writer.refresh()
        assert writer.decisions.labels("face").hard == "anna"
        assert reader.read().names == [FIRST, "green"]
        assert known.records().keys() == {"e"}
        assert known.latest(ErasureState.BEGUN)
        recreate(kafka, LABELS, GENERATIONS, ERASURES)
        writer.refresh()
        assert writer.decisions.labels("face").hard is None
        assert reader.read().names == [FIRST]
        assert known.records() == {}
        assert known.latest(ErasureState.BEGUN) == ""
