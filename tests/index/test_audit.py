"""The auditor finds what HNSW missed, and makes the graph of edges exact."""

from __future__ import annotations

from index.audit import audit
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.neighbours import NeighboursFound
from schemas.topics import Tombstone
from tests.builders.analyses import analysed, edges_in, in_batches, live, people, scans_of, true_edges

# So few links that much is missed.
POOR = Parameters(exact_below=10, m=2, ef_construction=8, ef=8)


def records(said: list[NeighboursFound | Tombstone]) -> list[NeighboursFound]:
    """The last record of each scan that was not taken back."""
    last = {record.key: record for record in said}
    return [record for record in last.values() if isinstance(record, NeighboursFound)]


def test_after_an_audit_every_pair_has_been_said() -> None:
    log: list[Analysed | Withdrawn] = [*scans_of(people(1_500, a_person=15), 1)]
    log += [analysed(2_000 + number, f"scan-{number}", people(60, 15)[number, None]) for number in range(0, 60, 3)]
    log += [Withdrawn(f"scan-{number}") for number in range(1, 60, 3)]
    index = FaceIndex(POOR)
    said = [record for batch in in_batches(log, 20) for record in index.apply(batch)]
    now, truth = live(log), true_edges(live(log))
    before = edges_in(said, now)
    assert 0.2 < len(before) / len(truth) < 0.95

    first = audit(index, now, records(said))
    assert first.true == len(truth)
    # Now and then an edge is said by its earlier end alone, when both came in one batch.
    assert first.found <= len(before)
    assert 0.2 < first.recall < 0.95
    after = edges_in([*said, *first.fuller], now)
    assert after.keys() == truth.keys()

    second = audit(index, now, records([*said, *first.fuller]))
    assert (second.recall, second.fuller) == (1.0, ())


def test_only_records_with_gaps_are_said_again() -> None:
    log = scans_of(people(200, a_person=20), 1)
    index = FaceIndex(Parameters())
    said = records([record for entry in log for record in index.apply([entry])])
    assert audit(index, log, said).fuller == ()
    whole = said[150]
    face = whole.faces[0]
    assert face.neighbours
    less = face.model_copy(update={"neighbours": (), "analyses": (), "distances": ()})
    said[150] = whole.model_copy(update={"faces": (less,)})
    result = audit(index, log, said)
    assert result.true - result.found == len(face.neighbours)
    [fuller] = result.fuller
    assert set(face.neighbours) <= set(fuller.faces[0].neighbours)


def test_an_analysis_without_a_record_counts_as_found_without_neighbours() -> None:
    log = scans_of(people(20, a_person=20), 1)
    index = FaceIndex(Parameters(eps_max=10))
    index.apply(log, search=False)
    result = audit(index, log[:3], [])
    assert (result.found, result.true, len(result.fuller)) == (0, 3, 2)


def test_a_replaced_or_withdrawn_analysis_is_not_said_again() -> None:
    log = scans_of(people(20, a_person=20), 1)
    index = FaceIndex(Parameters())
    index.apply(log, search=False)
    index.apply([analysed(100, "scan-3", people(1, 1)), Withdrawn("scan-4")])
    result = audit(index, [log[3], log[4]], [])
    assert (result.fuller, result.true, result.recall) == ((), 0, 1.0)


def test_shards_are_audited_each_for_its_own_faces() -> None:
    log = scans_of(people(1_000, a_person=20), 2)
    said: list[NeighboursFound | Tombstone] = []
    true = 0
    for shard in range(2):
        index = FaceIndex(Parameters(exact_below=10, m=2, ef_construction=8, ef=8, shard=shard, shards=2))
        own = [record for batch in in_batches(log, 20) for record in index.apply(batch)]
        result = audit(index, log, records(own))
        said += [*own, *result.fuller]
        true += result.true
    truth = true_edges(log)
    assert edges_in(said, log).keys() == truth.keys()
    within_one_scan = sum(len({analysis for _, analysis in edge}) == 1 for edge in truth)
    assert true == len(truth) + within_one_scan
