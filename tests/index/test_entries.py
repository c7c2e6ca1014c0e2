"""The state is a function of the entries: latest analyses, withdrawals, shards, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.entries import Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters, shard_of
from schemas.faces import EMBEDDING_DIMENSIONS
from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS, Tombstone
from tests.builders.analyses import Log, analysed, edges_in, in_batches, live, people, scans_of, true_edges


def points(*coordinates: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Vectors that differ in one coordinate only."""
    vectors = np.zeros((len(coordinates), EMBEDDING_DIMENSIONS), dtype=np.float32)
    vectors[:, 0] = coordinates
    return vectors


def neighbours(record: NeighboursFound | Tombstone) -> list[list[tuple[str, int]]]:
    """Of each face of a record, its neighbours and their analyses."""
    if isinstance(record, Tombstone):
        raise TypeError(f"{record} has no faces")
    return [list(zip(face.neighbours, face.analyses, strict=True)) for face in record.faces]


@pytest.mark.parametrize("exact_below", [0, 100])
def test_a_withdrawn_scan_is_found_no_more_and_its_record_is_deleted(exact_below: int) -> None:
    index = FaceIndex(Parameters(exact_below=exact_below, shard=2, shards=3))
    index.apply([analysed(number, f"s{number}", points(0, 0.1, 0.2)) for number in range(6)])
    assert index.apply([Withdrawn("s3")]) == [Tombstone(NEIGHBOURS, "2/s3")]
    [record] = index.apply([analysed(7, "new", points(0))])
    own = [f"s{scan}/{face}" for scan in (0, 1, 2, 4, 5) for face in range(3)]
    expected = {face_id for face_id in own if shard_of(face_id, 3) == 2}
    assert {name for name, _ in neighbours(record)[0]} - {"new/0"} == expected


def test_an_unknown_scan_can_be_withdrawn() -> None:
    assert FaceIndex(Parameters()).apply([Withdrawn("s")]) == [Tombstone(NEIGHBOURS, "0/s")]


@pytest.mark.parametrize("exact_below", [0, 100])
def test_a_new_analysis_replaces_the_old_one(exact_below: int) -> None:
    index = FaceIndex(Parameters(exact_below=exact_below))
    index.apply([analysed(0, "a", points(0)), analysed(1, "b", points(0.3))])
    [again] = index.apply([analysed(2, "a", points(0.4, 3), ["a/0", "a/9"])])
    assert neighbours(again) == [[("b/0", 1)], []]
    [other] = index.apply([analysed(3, "c", points(0.3))])
    assert neighbours(other) == [[("b/0", 1), ("a/0", 2)]]
    assert index.faces == 4


def test_only_the_last_entry_of_a_scan_in_a_batch_has_a_result() -> None:
    index = FaceIndex(Parameters())
    batch: Log = [
        analysed(0, "a", points(0)),
        analysed(1, "b", points(0.1)),
        Withdrawn("c"),
        analysed(3, "c", points(0.2)),
        analysed(4, "a", points(0.4)),
        analysed(5, "d", points(0.1)),
        Withdrawn("d"),
    ]
    b, c, a, d = index.apply(batch)
    assert neighbours(b) == [[("c/0", 3), ("a/0", 4)]]
    assert neighbours(c) == [[("b/0", 1), ("a/0", 4)]]
    assert neighbours(a) == [[("c/0", 3), ("b/0", 1)]]
    assert d == Tombstone(NEIGHBOURS, "0/d")


SCANS = st.sampled_from("abcde")
COORDINATES = st.lists(st.integers(0, 12).map(lambda eighths: eighths / 8), max_size=3)
LOGS = st.lists(st.tuples(SCANS, st.none() | COORDINATES), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(LOGS, st.integers(1, 8), st.sampled_from([1, 2, 4]), st.sampled_from([0, 3, 1_000]))
def test_whatever_the_log_batches_and_shards_the_records_add_up_to_the_live_edges(
    entries: list[tuple[str, list[float] | None]], size: int, shards: int, exact_below: int
) -> None:
    log: Log = [
        Withdrawn(scan_id) if coordinates is None else analysed(offset, scan_id, points(*coordinates))
        for offset, (scan_id, coordinates) in enumerate(entries)
    ]
    published: list[NeighboursFound | Tombstone] = []
    for shard in range(shards):
        # With as many connections as there are faces HNSW misses nothing.
        index = FaceIndex(Parameters(shard=shard, shards=shards, exact_below=exact_below, m=32))
        for batch in in_batches(log, size):
            published.extend(index.apply(batch))
        index.close()
    edges, truth = edges_in(published, live(log)), true_edges(live(log))
    assert edges == truth
    last = {record.key: record for record in published}
    assert len(last) == shards * len({scan_id for scan_id, _ in entries})


def test_shards_hold_each_face_once_and_add_up_to_the_whole() -> None:
    log = scans_of(people(800, a_person=10))
    whole = FaceIndex(Parameters())
    indexes = [FaceIndex(Parameters(shard=shard, shards=4)) for shard in range(4)]
    published = [record for batch in in_batches(log, 50) for index in indexes for record in index.apply(batch)]
    assert sum(index.faces for index in indexes) == 800
    assert all(150 < index.faces < 250 for index in indexes)
    of_whole = [record for batch in in_batches(log, 50) for record in whole.apply(batch)]
    assert edges_in(published, log) == edges_in(of_whole, log)
    assert edges_in(published, log).keys() == true_edges(log).keys()


def test_the_shard_of_a_face_is_the_same_in_every_process_and_version() -> None:
    assert [shard_of(face_id, 4) for face_id in ("a", "b", "Ülo/ä#1")] == [3, 1, 3]
    counts = Counter(shard_of(f"archive/album-{number}.jpg/0", 4) for number in range(4_000))
    assert all(900 < counts[shard] < 1_100 for shard in range(4))


def test_an_index_restored_from_the_topic_continues_as_the_one_that_stopped() -> None:
    log: Log = [*scans_of(people(300, a_person=10)), Withdrawn("scan-7"), Withdrawn("scan-9")]
    one, other = FaceIndex(Parameters()), FaceIndex(Parameters())
    for batch in in_batches(log, 13):
        one.apply(batch)
    assert other.apply(log, search=False) == []
    new = [analysed(1_000, "scan-3", people(2, 1)), analysed(1_001, "new", people(30, 3))]
    assert one.apply(new) == other.apply(new)


def test_a_batch_that_is_not_in_the_order_of_the_topic_is_refused_and_changes_nothing() -> None:
    index = FaceIndex(Parameters())
    index.apply([analysed(5, "a", points(0))])
    for batch in ([analysed(7, "b", points(0)), analysed(6, "c", points(0))], [analysed(4, "a", points(0))]):
        with pytest.raises(ValueError, match="is not in the order of the topic"):
            index.apply(batch)
    assert (index.faces, list(index.scans)) == (1, ["a"])


@pytest.mark.parametrize(("shard", "shards"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(shard: int, shards: int) -> None:
    with pytest.raises(ValueError, match="shards are numbered from 0"):
        Parameters(shard=shard, shards=shards)
