"""Two versions of a consumer in one group, and two versions of what they read: docs/upgrading.md has the rules.

The present version is the older one. The later one is simulated: its writer adds fields, and later a version of an
event, and its consumer knows both (tests/consumers/of_a_later_version.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import ForkServerProcess

import pytest

from cli.supervisor import as_environment
from clustering.clustering import Clustering, Parameters
from consumers import cluster
from schemas.codec import NewerRecord, encode
from schemas.neighbours import NeighboursFound
from schemas.topics import DEAD_LETTERS, NEIGHBOURS, Record
from settings import Settings
from stream.lag import lag_reader
from stream.reading import end_of
from tests.builders.clock import NOON, wait_until
from tests.builders.forked import fork
from tests.builders.kafka import Stages, publish, publish_record, running, wait_until_done
from tests.builders.neighbours import record
from tests.builders.oracle import assigned
from tests.builders.pipeline import last_assigned
from tests.builders.processes import assert_nothing_repeated

STAGES: Stages = {cluster.GROUP: cluster.TOPICS}

HISTORY = [
    record("a", 0, {"a0": [], "a1": [("a0", 0, 0.2)]}, shards=1, eps_max=0.5),
    record("b", 1, {"b0": [("a1", 0, 0.2)]}, shards=1, eps_max=0.5),
    record("c", 2, {"c0": []}, shards=1, eps_max=0.5),
    record("d", 3, {"d0": [("c0", 2, 0.1), ("a0", 0, 0.2)]}, shards=1, eps_max=0.5),
]


def with_more(event: NeighboursFound, **fields: object) -> Record:
    """The record of an event with further fields, in it and in its faces, and a further header."""
    made = encode(event, event_id=event.scan_id, time=NOON)
    value = json.loads(made.value or b"") | fields
    value["faces"] = [face | {"blurred": False} for face in value["faces"]]
    return replace(made, value=json.dumps(value).encode(), headers=(*made.headers, ("ce_later", b"1")))


def of_the_second_version(event: NeighboursFound) -> Record:
    made = with_more(event, search="exact")
    kind = (("ce_type", b"facestream.neighbours.found.v2"),)
    return replace(made, headers=(*(header for header in made.headers if header[0] != "ce_type"), *kind))


@contextmanager
def later_consumer(settings: Settings, member: str) -> Iterator[ForkServerProcess]:
    log = settings.data / "later.log"
    log.touch()
    process = fork("tests.consumers.of_a_later_version", [member], os.environ | as_environment(settings), log)
    try:
        wait_until(lambda: "standing by" in log.read_text(), log.read_text)
        yield process
    finally:
        process.terminate()
        process.join(timeout=60)
        assert process.exitcode == 0, log.read_text()


def expected(history: list[NeighboursFound], settings: Settings) -> object:
    clustering = Clustering(Parameters(eps=settings.clustering.eps))
    clustering.apply(history)
    return assigned(clustering)


@pytest.mark.process
@pytest.mark.slow
def test_consumers_are_updated_one_by_one_and_before_what_writes_to_them(settings: Settings) -> None:
    """An older one reads what a later writer adds, stops at what it cannot know, and a later one goes on there."""
    with pytest.raises(NewerRecord, match=r"neighbours 0/3: facestream\.neighbours\.found\.v2 is newer .* update"):
        run_the_older_one_until_it_stops(settings)


def run_the_older_one_until_it_stops(settings: Settings) -> None:
    kafka = settings.kafka
    publish(kafka, [HISTORY[0]])
    with running(settings, cluster.run) as (older,):
        wait_until_done(kafka, STAGES)
        # Within a version, fields and headers may be added.
        publish_record(kafka, NEIGHBOURS, with_more(HISTORY[1], searched_in_ms=7))
        wait_until_done(kafka, STAGES)
        assert last_assigned(settings) == expected(HISTORY[:2], settings)
        with later_consumer(settings, "1"):
            # Both are members now; the one that has the partitions goes on.
            publish(kafka, [HISTORY[2]])
            wait_until_done(kafka, STAGES)
            assert last_assigned(settings) == expected(HISTORY[:3], settings)
            publish_record(kafka, NEIGHBOURS, of_the_second_version(HISTORY[3]))
            wait_until(older.done, "the older consumer goes on")
            wait_until_done(kafka, STAGES, within_s=120)
        # Nothing was left out, nothing is there twice, and no record was given up.
        assert assert_nothing_repeated(settings) == last_assigned(settings) == expected(HISTORY, settings)
        assert sum(end_of(kafka, DEAD_LETTERS).values()) == 0


def test_an_older_consumer_alone_commits_nothing_of_what_it_cannot_know(settings: Settings) -> None:
    kafka = settings.kafka
    publish(kafka, HISTORY[:1])
    publish_record(kafka, NEIGHBOURS, of_the_second_version(HISTORY[1]))
    publish(kafka, HISTORY[2:3])
    for _ in range(2):
        with pytest.raises(NewerRecord), running(settings, cluster.run) as (older,):
            wait_until(older.done, "the older consumer goes on")
        assert last_assigned(settings) == expected(HISTORY[:1], settings)
        with lag_reader(kafka) as reader:
            assert reader.lags(STAGES)[cluster.GROUP] == 2
    assert sum(end_of(kafka, DEAD_LETTERS).values()) == 0
