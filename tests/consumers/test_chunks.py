"""The cluster consumer on a real broker, killed between the transactions of a delta."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.context import ForkServerProcess

import pytest

from cli.supervisor import as_environment
from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from consumers.cluster import GROUP, TOPICS, publication_of
from schemas.base import Event
from schemas.clusters import Change, ClusterChanged
from schemas.neighbours import NeighboursFound
from schemas.topics import ASSIGNMENTS, CLUSTERS, NEIGHBOURS, Tombstone
from settings import Settings
from stream.chunks import CHUNK, DELTA, chunks
from stream.lag import lag_reader
from stream.reading import read_to_end
from stream.records import Received, Unfinished
from stream.transform import TAKING_PART
from tests.builders.contract import assert_all_as_in_the_contract
from tests.builders.decisions import named
from tests.builders.forked import fork
from tests.builders.kafka import publish
from tests.builders.neighbours import Edge, record
from tests.builders.oracle import assigned
from tests.builders.pipeline import last_assigned
from tests.builders.processes import assert_consistent_sizes, assert_nothing_repeated

_EPS, _OTHER_EPS = 0.37, 0.30
_OUTPUTS = 7
_FACES = 20


def scan(name: str, analysis: int, first_edges: list[Edge], distance: float = 0.29) -> NeighboursFound:
    """A scan with a chain of faces, the first of which has these edges."""
    names = [f"{name}{number:02}" for number in range(_FACES)]
    edges = {names[0]: first_edges}
    for before, face in pairwise(names):
        edges[face] = [(before, analysis, distance)]
    return record(name, analysis, edges, shards=1, eps_max=0.5)


# Chains a and c, joined by the face b: a cluster of 41 faces. At the other eps each face of c is alone.
A, C = scan("a", 0, []), scan("c", 1, [], distance=0.33)
B = record("b", 2, {"b": [("a00", 0, 0.2), ("c00", 1, 0.2)]}, shards=1, eps_max=0.5)
NAMED = named(1, "a05", "grace")
HISTORY: list[Event | Tombstone] = [A, C, B, NAMED, Tombstone(NEIGHBOURS, "0/b")]


@contextmanager
def consumer(settings: Settings, eps: float, kill: int, when: str) -> Iterator[ForkServerProcess]:
    arguments = [settings.data, eps, _OUTPUTS, kill, when]
    log = settings.data / "cluster.log"
    log.touch()
    environment = os.environ | as_environment(settings)
    process = fork("tests.consumers.cluster_in_chunks", [str(argument) for argument in arguments], environment, log)
    try:
        yield process
    finally:
        process.terminate()
        process.join(timeout=60)
        assert process.exitcode is not None, "it does not stop"


def run_until_done(settings: Settings, eps: float, rng: random.Random | None) -> int:
    """Run the consumer until nothing is left to read, killed at its first transactions time and again; the kills."""
    kills = 0
    while True:
        kill = 0 if rng is None or kills == 4 else rng.choice([1, 2, 3])
        with consumer(settings, eps, kill, rng.choice(["before", "after"]) if rng else "after") as process:
            if not is_killed(process, settings):
                return kills
            kills += 1


def is_killed(process: ForkServerProcess, settings: Settings) -> bool:
    """Wait until the process was killed or has read everything; whether it was killed."""
    log, deadline = settings.data / "cluster.log", time.monotonic() + 90
    taking_part = log.read_text().count(TAKING_PART)
    with lag_reader(settings.kafka) as reader:
        while time.monotonic() < deadline:
            if process.exitcode is not None:
                assert process.exitcode == -signal.SIGKILL, log.read_text()
                return True
            started = log.read_text().count(TAKING_PART) > taking_part
            if started and not any(reader.lags({GROUP: TOPICS}).values()) and process.exitcode is None:
                return False
            time.sleep(0.05)
    raise TimeoutError(log.read_text())


def expected_log() -> list[ClusterChanged]:
    """The changes of an undisturbed consumer that reads one record after the other."""
    clustering = Clustering(Parameters(eps=_EPS))
    changes: list[ClusterChanged] = []
    for message in HISTORY:
        entry = NeighboursWithdrawn("b", 0) if isinstance(message, Tombstone) else message
        changes += clustering.apply([entry]).changes  # type: ignore[list-item]
    return changes


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 1])
def test_killed_between_and_within_transactions_nothing_is_lost_or_published_twice(
    settings: Settings, seed: int | None
) -> None:
    """Large deltas of every kind: creation, a merge with another id, a name, a split, and another eps."""
    rng = None if seed is None else random.Random(seed)
    kills = 0
    for message in HISTORY:
        publish(settings.kafka, [message])
        kills += run_until_done(settings, _EPS, rng)
    assert [one.message for one in read_to_end(settings.kafka, CLUSTERS)] == expected_log()
    assert Change.SPLIT in {one.change for one in expected_log()}
    kills += run_until_done(settings, _OTHER_EPS, rng)
    assert kills >= (0 if rng is None else 15)

    live = Clustering(Parameters(eps=_OTHER_EPS))
    live.apply([A, C, NAMED])
    assert assert_nothing_repeated(settings) == assigned(live) == last_assigned(settings)
    assert assert_consistent_sizes(settings) == live.sizes()
    assert unfinished_deltas(settings) == set()
    if rng is None:
        assert_chunks_are_numbered(settings)
        assert assert_all_as_in_the_contract(settings.kafka)["facestream.assignments.tombstone.v1"]


@pytest.mark.process
def test_a_subscriber_sees_which_delta_is_not_complete_yet_and_when_it_is(settings: Settings) -> None:
    publish(settings.kafka, [A])
    run_until_done(settings, _EPS, None)
    assert unfinished_deltas(settings) == set()
    publish(settings.kafka, [NAMED])
    with consumer(settings, _EPS, 1, "after") as process:
        assert is_killed(process, settings)
    (delta,) = unfinished_deltas(settings)
    named_faces = {one.record.key for one in read_to_end(settings.kafka, ASSIGNMENTS) if is_of(one, delta)}
    assert len(named_faces) == _OUTPUTS
    with consumer(settings, _EPS, 1, "after") as process:
        assert is_killed(process, settings)
    assert unfinished_deltas(settings) == {delta}
    run_until_done(settings, _EPS, None)
    assert unfinished_deltas(settings) == set()
    named_faces = {one.record.key for one in read_to_end(settings.kafka, ASSIGNMENTS) if is_of(one, delta)}
    assert len(named_faces) == _FACES


def unfinished_deltas(settings: Settings) -> set[bytes]:
    """The deltas that are not complete: no record of their last chunk can be read."""
    seen: set[bytes] = set()
    complete: set[bytes] = set()
    for topic in (ASSIGNMENTS, CLUSTERS):
        for received in read_to_end(settings.kafka, topic):
            headers = {name: value or b"" for name, value in received.record.headers}
            if DELTA in headers:
                seen.add(headers[DELTA])
                number, _, count = headers[CHUNK].partition(b"/")
                complete |= {headers[DELTA]} if number == count else set()
    return seen - complete


def is_of(received: Received, delta: bytes) -> bool:
    return dict(received.record.headers).get(DELTA) == delta


def assert_chunks_are_numbered(settings: Settings) -> None:
    """Of each delta, readers see all chunks: first those of `assignments`, then those of `clusters`."""
    seen: dict[bytes, dict[str, set[int]]] = {}
    counts: dict[bytes, int] = {}
    for topic in (ASSIGNMENTS, CLUSTERS):
        for received in read_to_end(settings.kafka, topic):
            headers = {name: value or b"" for name, value in received.record.headers}
            if DELTA in headers:
                number, _, count = headers[CHUNK].decode().partition("/")
                seen.setdefault(headers[DELTA], {}).setdefault(topic.name, set()).add(int(number))
                counts[headers[DELTA]] = int(count)
    assert len(seen) >= 5
    for delta, by_topic in seen.items():
        numbers = [*sorted(by_topic["assignments"]), *sorted(by_topic.get("clusters", ()))]
        assert numbers == list(range(1, counts[delta] + 1))


def test_a_small_publication_is_one_chunk_without_headers() -> None:
    delta = Clustering(Parameters()).apply([B])
    (chunk,) = chunks(publication_of(delta), Unfinished("delta", {}), size=2)
    assert chunk.unfinished is None
    assert chunk.outputs == [(delta.assignments[0], ()), (delta.changes[0], ())]


def test_a_large_publication_has_its_dead_letters_first_and_its_changes_last() -> None:
    delta = Clustering(Parameters()).apply([A])
    unfinished = Unfinished("delta", {("neighbours", 0): 7}, metadata="the step's")
    parts = list(chunks(publication_of(delta), unfinished, size=8))
    assert [len(chunk.outputs) for chunk in parts] == [8, 8, 4, 1]
    assert [dict(chunk.outputs[0][1])[CHUNK] for chunk in parts] == [b"1/4", b"2/4", b"3/4", b"4/4"]
    assert Counter(type(output).__name__ for output, _ in parts[-1].outputs) == {"ClusterChanged": 1}
    assert [chunk.unfinished and chunk.unfinished.logged for chunk in parts] == [0, 0, 0, None]
    assert Unfinished.from_metadata(parts[0].unfinished.as_metadata()) == unfinished  # type: ignore[union-attr]
    assert Unfinished.from_metadata('{"audited": 3}') is None
