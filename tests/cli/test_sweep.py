"""`facestream sweep` refuses impossible ranges; what it prints is compared with DBSCAN."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from cli.sweep import eps_range, row_at
from clustering.clustering import Clustering, Parameters
from errors import UserError
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import album, one_face_scan


def test_a_row_counts_what_dbscan_gives() -> None:
    vectors = album(300, a_person=6).vectors
    index = FaceIndex(IndexParameters())
    clustering = Clustering(Parameters(eps=0.3))
    scans = [Analysed(number, one_face_scan(number, vector)) for number, vector in enumerate(vectors)]
    clustering.apply([found for found in index.apply(scans) if isinstance(found, NeighboursFound)])
    rows = set()
    for eps in (0.31, 0.37, 0.44):
        labels = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors.astype(np.float64))
        sizes = np.bincount(labels)
        row = row_at(clustering, eps)
        assert (row.clusters, row.singletons, row.largest) == (len(sizes), int((sizes == 1).sum()), int(sizes.max()))
        rows.add((row.clusters, row.singletons))
    assert len(rows) == 3


@pytest.mark.parametrize(("first", "last", "step"), [(0.4, 0.3, 0.02), (0.3, 0.9, 0.02), (0.0, 0.4, 0.02)])
def test_a_range_that_makes_no_sense_is_one_clear_line(first: float, last: float, step: float) -> None:
    with pytest.raises(UserError, match=r"give 0 < from <= to <= 0\.5"):
        eps_range(first, last, step, 0.5)


def test_a_step_of_nothing_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="give a number larger than 0"):
        eps_range(0.3, 0.4, 0.0, 0.5)
