"""A search finds all faces within eps_max, with one distance a pair, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.faces import EMBEDDING_DIMENSIONS
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import analysed, edges_in, in_batches, people, scans_of, true_edges

EXACT = Parameters(exact_below=1_000_000)
HNSW = Parameters(exact_below=0)


def found(index: FaceIndex, log: Sequence[Analysed], size: int = 64) -> list[NeighboursFound]:
    """All records of a log without withdrawals."""
    records = [record for batch in in_batches(log, size) for record in index.apply(batch)]
    return [record for record in records if isinstance(record, NeighboursFound)]


@pytest.mark.parametrize("size", [1, 7, 256])
def test_an_exact_search_finds_every_pair_within_eps_max(size: int) -> None:
    log = scans_of(people(1_200, a_person=12))
    edges = edges_in(found(FaceIndex(EXACT), log, size), log)
    truth = true_edges(log)
    assert edges.keys() == truth.keys()
    assert len(truth) > 3_000
    assert all(abs(distance - truth[edge]) < 1e-12 for edge, distance in edges.items())


def test_hnsw_finds_the_pairs_of_real_faces(shared_data: Path) -> None:
    embeddings = np.load(shared_data / "embeddings" / "lfw_dev.npz")["E"][:3000]
    log = scans_of(embeddings, faces_a_scan=1)
    truth = true_edges(log)
    for parameters, least in ((EXACT, 1.0), (HNSW, 0.999)):
        edges = edges_in(found(FaceIndex(parameters), log, 256), log)
        assert edges.keys() <= truth.keys()
        assert len(edges) >= least * len(truth)


def test_hnsw_and_exact_search_give_a_pair_the_same_distance_from_either_end_to_the_last_bit() -> None:
    log = scans_of(people(1_000, a_person=30))
    one_by_one = edges_in(found(FaceIndex(EXACT), log, 1), log)
    by_hnsw = edges_in(found(FaceIndex(HNSW), log, 64), log)
    index = FaceIndex(EXACT)
    index.apply(log, search=False)
    all_ways = edges_in(index.search(log), log)  # asserts that both ends have the same distance
    assert all_ways == one_by_one
    assert by_hnsw.items() <= all_ways.items()
    assert len(by_hnsw) > 0.999 * len(all_ways)


@pytest.mark.parametrize("parameters", [EXACT, HNSW])
def test_all_faces_of_a_person_with_hundreds_are_found(parameters: Parameters) -> None:
    generator = np.random.default_rng(1)
    crowd = generator.normal(scale=0.005, size=(700, EMBEDDING_DIMENSIONS))
    others = generator.normal(scale=1, size=(300, EMBEDDING_DIMENSIONS))
    vectors = generator.permutation(np.concatenate([crowd, others])).astype(np.float32)
    log = scans_of(vectors, faces_a_scan=1)
    index = FaceIndex(parameters)
    index.apply(log, search=False)
    sizes = sorted(len(record.faces[0].neighbours) for record in index.search(log))
    assert sizes == [0] * 300 + [699] * 700


@pytest.mark.parametrize("parameters", [EXACT, HNSW])
def test_copies_of_one_picture_hide_no_other_face(parameters: Parameters) -> None:
    vectors = people(2_400, a_person=10)
    for picture in range(20):
        vectors[100 + picture :: 23] = vectors[picture]
    log = scans_of(vectors, faces_a_scan=1)
    truth = true_edges(log)
    edges = edges_in(found(FaceIndex(parameters), log), log)
    assert sum(distance == 0 for distance in truth.values()) > 90_000
    assert len(edges) >= 0.999 * len(truth)


def test_eps_max_itself_is_within_and_the_next_float_is_not() -> None:
    vectors = np.zeros((3, EMBEDDING_DIMENSIONS), dtype=np.float32)
    vectors[1, 5] = 0.5
    vectors[2, 9] = np.nextafter(np.float32(0.5), np.float32(1))
    [record] = found(FaceIndex(EXACT), [analysed(0, "s", vectors)])
    assert record.faces[0].neighbours == ("s/1",)
    assert record.faces[0].distances == (0.5,)


def test_a_pair_at_eps_max_is_found_far_from_the_origin() -> None:
    """There the rounding of |q|^2 + |x|^2 - 2 q.x is many times the distance."""
    vectors = np.full((2, EMBEDDING_DIMENSIONS), 512, dtype=np.float32)
    vectors[1, 5] += 0.5
    [record] = found(FaceIndex(EXACT), [analysed(0, "s", vectors)])
    assert [face.neighbours for face in record.faces] == [("s/1",), ("s/0",)]


@pytest.mark.parametrize("parameters", [EXACT, HNSW])
def test_neighbours_are_sorted_by_distance_then_id(parameters: Parameters) -> None:
    vectors = np.zeros((40, EMBEDDING_DIMENSIONS), dtype=np.float32)
    vectors[:, 0] = np.repeat([0.0, 0.1, 0.2, 0.3], 10)
    names = [f"{number:02}" for number in np.random.default_rng(2).permutation(40)]
    [record] = found(FaceIndex(parameters), [analysed(0, "s", vectors, names)])
    assert len(record.faces) == 40
    for face in record.faces:
        columns = list(zip(face.distances, face.neighbours, strict=True))
        assert len(columns) == 39
        assert columns == sorted(columns)


def test_faces_of_one_scan_are_neighbours_and_a_face_is_not_its_own() -> None:
    [record] = found(FaceIndex(EXACT), [analysed(3, "s", np.zeros((2, EMBEDDING_DIMENSIONS), dtype=np.float32))])
    assert [(face.face_id, face.neighbours, face.analyses) for face in record.faces] == [
        ("s/0", ("s/1",), (3,)),
        ("s/1", ("s/0",), (3,)),
    ]


def test_a_scan_without_faces_has_a_record_without_faces() -> None:
    [record] = found(FaceIndex(EXACT), [analysed(3, "s", np.empty((0, EMBEDDING_DIMENSIONS), dtype=np.float32))])
    assert (record.scan_id, record.analysis, record.faces) == ("s", 3, ())


def test_an_index_grows_far_beyond_its_first_capacity() -> None:
    log = scans_of(people(3_000, a_person=10), faces_a_scan=3)
    index = FaceIndex(Parameters(exact_below=100))
    records = [record for batch in in_batches(log, 500) for record in index.apply(batch)]
    assert index.faces == 3_000
    assert index.hnsw is not None
    assert index.hnsw.nodes == 3_000
    assert len(edges_in(records, log)) >= 0.999 * len(true_edges(log))
