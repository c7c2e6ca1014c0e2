"""An index compares the embeddings of one embedder; of other analyses the faces are there, without neighbours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.reference import Reference
from index.audit import audit
from index.entries import Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from index.snapshot import load, save
from index.vectors_left import holds
from schemas.base import DLIB_EMBEDDER
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import Vectors, analysed

OTHER = "net-0123456789abcdef"
OF_OTHER = Parameters(embedder=OTHER, dimension=512, eps_max=1.0)
OF_DLIB = Parameters(embedder=DLIB_EMBEDDER)


def vectors(count: int, dimension: int = 512, seed: int = 0) -> Vectors:
    """On the unit sphere, near each other."""
    found = 1 + 0.3 * np.random.default_rng(seed).normal(size=(count, dimension))
    unit: Vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def neighbours(records: list[object]) -> dict[str, list[str]]:
    return {
        face.face_id: list(face.neighbours)
        for record in records
        if isinstance(record, NeighboursFound)
        for face in record.faces
    }


def test_embeddings_of_any_length_are_compared() -> None:
    index = FaceIndex(OF_OTHER)
    records = index.apply(
        [analysed(number, f"s{number}", vectors(2, seed=number), embedder=OTHER) for number in range(3)]
    )
    assert all(len(found) == 5 for found in neighbours(list(records)).values())
    (first, *_) = records
    assert isinstance(first, NeighboursFound)
    assert (first.embedder, first.reference, first.measure) == (OTHER, None, OTHER)


def test_hnsw_finds_embeddings_of_any_length_too() -> None:
    entries = [analysed(number, f"s{number}", vectors(1, seed=number), embedder=OTHER) for number in range(300)]
    exact = FaceIndex(replace(OF_OTHER, eps_max=0.42))
    approximate = FaceIndex(replace(OF_OTHER, exact_below=50, eps_max=0.42, threads=1))
    expected, found = neighbours(list(exact.apply(entries))), neighbours(list(approximate.apply(entries)))
    assert approximate.hnsw is not None
    missed = sum(len(set(expected[face]) - set(found[face])) for face in expected)
    assert missed <= 0.02 * sum(map(len, expected.values()))


def test_faces_of_another_embedder_are_published_without_neighbours_and_are_nobodys() -> None:
    index = FaceIndex(OF_OTHER)
    index.apply([analysed(0, "own", vectors(1), embedder=OTHER)])
    (record,) = index.apply([analysed(1, "foreign", vectors(2, 128), embedder=DLIB_EMBEDDER)])
    assert isinstance(record, NeighboursFound)
    assert neighbours([record]) == {"foreign/0": [], "foreign/1": []}
    (record,) = index.apply([analysed(2, "later", vectors(1), embedder=OTHER)])
    assert neighbours([record]) == {"later/0": ["own/0"]}
    assert index.faces == 2
    # The audit sees nothing missing there.
    assert not audit(index, [analysed(1, "foreign", vectors(2, 128), embedder=DLIB_EMBEDDER)], []).corrections


def test_a_scan_that_is_analysed_with_the_other_embedder_leaves_its_neighbours_and_comes_back() -> None:
    index = FaceIndex(OF_OTHER)
    index.apply([analysed(number, f"s{number}", vectors(1, seed=number), embedder=OTHER) for number in range(2)])
    index.apply([analysed(2, "s0", vectors(1, 128), embedder=DLIB_EMBEDDER)])
    assert neighbours(list(index.search([analysed(1, "s1", vectors(1, seed=1), embedder=OTHER)]))) == {"s1/0": []}
    (record,) = index.apply([analysed(3, "s0", vectors(1), embedder=OTHER)])
    assert neighbours([record]) == {"s0/0": ["s1/0"]}
    index.apply([Withdrawn("s0"), Withdrawn("s1")])
    assert index.faces == 0


def test_records_of_dlibs_published_embedder_are_as_they_always_were() -> None:
    (record,) = FaceIndex(OF_DLIB).apply([analysed(0, "s", vectors(1, 128))])
    assert isinstance(record, NeighboursFound)
    assert record.embedder is None
    assert record.measure is None


def test_a_snapshot_of_another_embedder_is_not_used(tmp_path: Path) -> None:
    index = FaceIndex(OF_OTHER)
    index.apply([analysed(0, "own", vectors(1), embedder=OTHER)])
    save(index, tmp_path, 1)
    assert load(tmp_path, OF_OTHER).index.faces == 1
    restored = load(tmp_path, OF_DLIB)
    assert (restored.offset, restored.index.faces) == (0, 0)
    assert "of another embedder" in str(restored.refused[0])


def test_calibrated_distances_of_longer_embeddings_mean_the_same() -> None:
    """Twice as long distances with twice the unit are the same distances."""
    generator = np.random.default_rng(5)
    bank, faces = (generator.normal(size=(count, 128)).astype(np.float32) * 0.07 for count in (30, 40))
    short = Reference((bank,), 0.1, 1.0, 0.05, 30, 30)
    long = Reference((2 * bank,), 0.1, 1.0, 0.05, 30, 30, unit=2.0)
    assert long.offsets(2 * faces) == pytest.approx(short.offsets(faces), abs=1e-6)
    assert long.name != short.name
    found = []
    for reference, factor in ((short, 1), (long, 2)):
        index = FaceIndex(Parameters(reference=reference, eps_max=0.6))
        records = index.apply([analysed(number, f"s{number}", factor * faces[number, None]) for number in range(40)])
        found.append(records)
    for one, other in zip(*found, strict=True):
        assert isinstance(one, NeighboursFound)
        assert isinstance(other, NeighboursFound)
        (face,), (again,) = one.faces, other.faces
        assert face.neighbours == again.neighbours
        assert face.distances == pytest.approx(again.distances, abs=1e-6)
    assert any(neighbours(list(found[0])).values())


def test_a_saved_graph_is_searched_for_embeddings_of_its_length(tmp_path: Path) -> None:
    entries = [analysed(number, f"s{number}", vectors(1, seed=number), embedder=OTHER) for number in range(100)]
    index = FaceIndex(replace(OF_OTHER, exact_below=50, threads=1))
    index.apply(entries)
    index.apply([Withdrawn("s7")])
    graph = save(index, tmp_path, offset=100) / "graph.hnsw"
    gone = entries[7].scan.faces[0].embedding
    of_dlib = np.ones(128, dtype="<f4").tobytes()
    assert holds(graph, [of_dlib, gone]) == 1
    assert holds(graph, [of_dlib]) == 0
