"""`facestream sweep` refuses what makes no sense; what it prints is held against DBSCAN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from cli.sweep import row_at, sweep
from clustering.clustering import Clustering, Parameters
from errors import UserError
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import one_face_scan


def test_a_row_counts_what_dbscan_gives(shared_data: Path) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as data:
        vectors = np.asarray(data["E"][:300])
    index = FaceIndex(IndexParameters())
    clustering = Clustering(Parameters(eps=0.3))
    scans = [Analysed(number, one_face_scan(number, vector)) for number, vector in enumerate(vectors)]
    clustering.apply([found for found in index.apply(scans) if isinstance(found, NeighboursFound)])
    for eps in (0.31, 0.37, 0.44):
        labels = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors.astype(np.float64))
        sizes = np.bincount(labels)
        row = row_at(clustering, eps)
        assert (row.clusters, row.singletons, row.largest) == (len(sizes), int((sizes == 1).sum()), int(sizes.max()))


@pytest.mark.parametrize(("first", "last", "step"), [(0.4, 0.3, 0.02), (0.3, 0.9, 0.02), (0.0, 0.4, 0.02)])
def test_a_range_that_makes_no_sense_is_one_clear_line(first: float, last: float, step: float) -> None:
    with pytest.raises(UserError, match=r"give 0 < from <= to <= 0\.5"):
        sweep(first, last, step)


def test_a_step_of_nothing_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="give a number larger than 0"):
        sweep(0.3, 0.4, 0.0)
