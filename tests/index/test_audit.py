"""The audit finds what HNSW missed, and its corrections make the records exact."""

from __future__ import annotations

import numpy as np
import pytest

from index.audit import audit
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.neighbours import NeighboursFound
from schemas.topics import Tombstone
from tests.builders.analyses import analysed, edges_in, in_batches, live, people, scans_of, true_edges

# So few connections that many pairs are missed.
POOR = Parameters(exact_below=10, m=2, ef_construction=8, ef=8)


def records(published: list[NeighboursFound | Tombstone]) -> list[NeighboursFound]:
    """The last record of each scan that was not withdrawn."""
    last = {record.key: record for record in published}
    return [record for record in last.values() if isinstance(record, NeighboursFound)]


def test_after_an_audit_every_pair_is_published() -> None:
    log: list[Analysed | Withdrawn] = [*scans_of(people(1_500, a_person=15), 1)]
    log += [analysed(2_000 + number, f"scan-{number}", people(60, 15)[number, None]) for number in range(0, 60, 3)]
    log += [Withdrawn(f"scan-{number}") for number in range(1, 60, 3)]
    index = FaceIndex(POOR)
    published = [record for batch in in_batches(log, 20) for record in index.apply(batch)]
    now, truth = live(log), true_edges(live(log))
    before = edges_in(published, now)
    assert 0 < len(before) / len(truth) < 0.95

    first = audit(index, now, records(published))
    assert first.true == len(truth)
    # A pair may be in the record of its earlier end alone, when both ends came in one batch.
    assert first.found <= len(before)
    assert 0 < first.recall < 0.95
    after = edges_in([*published, *first.corrections], now)
    assert after.keys() == truth.keys()

    second = audit(index, now, records([*published, *first.corrections]))
    assert (second.recall, second.corrections) == (1.0, ())


def test_only_incomplete_records_are_corrected() -> None:
    log = scans_of(people(200, a_person=20), 1)
    index = FaceIndex(Parameters())
    published = records([record for entry in log for record in index.apply([entry])])
    assert audit(index, log, published).corrections == ()
    complete = published[150]
    face = complete.faces[0]
    assert face.neighbours
    without = face.model_copy(update={"neighbours": (), "analyses": (), "distances": ()})
    published[150] = complete.model_copy(update={"faces": (without,)})
    result = audit(index, log, published)
    assert result.true - result.found == len(face.neighbours)
    [correction] = result.corrections
    assert set(face.neighbours) <= set(correction.faces[0].neighbours)


def test_an_analysis_without_a_record_counts_as_having_none_of_its_neighbours() -> None:
    log = scans_of(people(20, a_person=20), 1)
    index = FaceIndex(Parameters(eps_max=10))
    index.apply(log, search=False)
    result = audit(index, log[:3], [])
    assert (result.found, result.true, len(result.corrections)) == (0, 3, 2)


def test_a_replaced_or_withdrawn_analysis_is_not_corrected() -> None:
    log = scans_of(people(20, a_person=20), 1)
    index = FaceIndex(Parameters())
    index.apply(log, search=False)
    index.apply([analysed(100, "scan-3", people(1, 1)), Withdrawn("scan-4")])
    result = audit(index, [log[3], log[4]], [])
    assert (result.corrections, result.true, result.recall) == ((), 0, 1.0)


def test_shards_are_audited_each_for_its_own_faces() -> None:
    log = scans_of(people(1_000, a_person=20), 2)
    published: list[NeighboursFound | Tombstone] = []
    true = 0
    for shard in range(2):
        index = FaceIndex(Parameters(exact_below=10, m=2, ef_construction=8, ef=8, shard=shard, shards=2))
        own = [record for batch in in_batches(log, 20) for record in index.apply(batch)]
        result = audit(index, log, records(own))
        published += [*own, *result.corrections]
        true += result.true
    truth = true_edges(log)
    assert edges_in(published, log).keys() == truth.keys()
    assert true == len(truth)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_pair_on_one_scan_is_counted_once_in_any_number_of_shards(shards: int) -> None:
    vectors = people(40, a_person=4)
    vectors[1::2] = vectors[::2] + np.float32(0.001)
    log = scans_of(vectors, faces_a_scan=4)
    found = true = 0
    for shard in range(shards):
        index = FaceIndex(Parameters(shard=shard, shards=shards))
        published = records([record for entry in log for record in index.apply([entry])])
        result = audit(index, log, published)
        found, true = found + result.found, true + result.true
        assert result.corrections == ()
    assert found == true == len(true_edges(log))
    assert any(len({analysis for _, analysis in pair}) == 1 for pair in true_edges(log))
