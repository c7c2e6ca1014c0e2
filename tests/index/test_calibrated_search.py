"""The search by calibrated distance: every pair within eps_max, with the same distance from both ends, and bounded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from calibration.reference import STRANGERS_AT, Reference
from index.audit import audit
from index.face_index import FaceIndex
from index.parameters import LARGEST_RECORD, Parameters
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import album, analysed, edges_in, people, scans_of
from tests.builders.references import reference

_FACES = album(600, a_person=5).vectors
_REFERENCE = reference(album(320, 1, seed=7).vectors, album(320, 1, seed=8).vectors, level=-0.01)


def _true_pairs(eps_max: float) -> dict[tuple[int, int], float]:
    nearest = [np.sort(cdist(_FACES, bank), axis=1)[:, 1:6].mean(axis=1) for bank in _REFERENCE.banks]
    offsets = np.minimum(np.mean(nearest, axis=0), _REFERENCE.largest_offset) + _REFERENCE.level - STRANGERS_AT
    distances = np.maximum(cdist(_FACES, _FACES) - (offsets[:, None] + offsets[None]) / 2, 0)
    rows, columns = np.nonzero(np.triu(distances <= eps_max, k=1))
    return {(i, j): float(distances[i, j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)}


@pytest.mark.parametrize("exact_below", [10_000, 10])
def test_all_pairs_within_eps_max_are_found_with_their_calibrated_distance(exact_below: int) -> None:
    log = scans_of(_FACES, faces_a_scan=1)
    index = FaceIndex(Parameters(eps_max=0.44, exact_below=exact_below, reference=_REFERENCE))
    records = [it for entry in log for it in index.apply([entry])]
    assert {it.reference for it in records if isinstance(it, NeighboursFound)} == {_REFERENCE.name}
    result = audit(index, log, [it for it in records if isinstance(it, NeighboursFound)])
    found = edges_in([*records, *result.corrections], log)
    expected = {
        frozenset(((f"scan-{i}/0", i), (f"scan-{j}/0", j))): distance for (i, j), distance in _true_pairs(0.44).items()
    }
    assert len(expected) > 500
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(expected[pair], abs=1e-6) for pair in expected)


@pytest.mark.parametrize("unit", [1, 2])
def test_a_search_by_hnsw_finds_all_of_them_without_the_audit(unit: int) -> None:
    banks = [np.float32(unit) * bank for bank in _REFERENCE.banks]
    of_unit = Reference(tuple(banks), -0.01, 10.0, 0.02, 400, 400, unit=unit)
    log = scans_of(np.float32(unit) * _FACES, faces_a_scan=1)
    index = FaceIndex(Parameters(eps_max=0.44, exact_below=50, ef=128, reference=of_unit))
    records = [it for start in range(0, len(log), 50) for it in index.apply(log[start : start + 50])]
    assert index.hnsw is not None
    found = edges_in(records, log)
    expected = _true_pairs(0.44)
    assert len(found) == len(expected)
    assert found == {
        frozenset(((f"scan-{i}/0", i), (f"scan-{j}/0", j))): pytest.approx(distance, abs=1e-5)
        for (i, j), distance in expected.items()
    }


def test_a_restored_index_has_the_same_offsets() -> None:
    parameters = Parameters(eps_max=0.44, reference=_REFERENCE)
    log = scans_of(_FACES)
    index = FaceIndex(parameters)
    index.apply(log)
    restored = FaceIndex.of_state(parameters, index.state(), None)
    assert restored.search(log) == index.search(log)


def test_a_face_has_no_more_neighbours_in_its_record_than_the_most_the_nearest_ones() -> None:
    crowd = people(300, a_person=300) * np.float32(0.5)
    index = FaceIndex(Parameters(eps_max=5.0, most_neighbours=7))
    (record,) = [it for it in index.apply([analysed(0, "crowd", crowd)]) if isinstance(it, NeighboursFound)]
    nearest = np.argsort(cdist(crowd, crowd), axis=1)[:, 1:8]
    assert [len(face.neighbours) for face in record.faces] == [7] * 300
    assert list(record.faces[3].neighbours) == [f"crowd/{number}" for number in nearest[3]]


def test_a_record_of_very_many_faces_is_bounded_too() -> None:
    parameters = Parameters(most_neighbours=256)
    assert parameters.most_published(1) == 256
    assert 10_000 * (parameters.most_published(10_000) or 0) <= LARGEST_RECORD
    assert Parameters().most_published(10_000) is None
