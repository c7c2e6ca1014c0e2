"""Measures other implementations on the same faces in the same run, and compares their clusters with Facestream's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from incdbscan import IncrementalDBSCAN
from sklearn.cluster import DBSCAN

from benchmarks.archive import Archive
from benchmarks.in_process import Stream
from benchmarks.measurement import Row, Stopwatch
from benchmarks.parameters import CLUSTERING, by_radius
from index.entries import Withdrawn

_BATCH = 256
_WITHDRAWN = 50


def measure(faces: int, incremental_faces: int) -> Iterator[Row]:
    """scikit-learn's DBSCAN on `faces`, incdbscan on `incremental_faces` of them, and Facestream."""
    stream = Stream(Archive(faces), _BATCH, by_radius())
    for _ in stream.insert():
        pass
    ours = stream.index_watch.combined(stream.cluster_watch)
    yield ours.row("here, index and cluster, batches of 256", faces)
    batches = list(stream.archive.batches(_BATCH))
    vectors = np.concatenate([entry.vectors for batch in batches for entry in batch]).astype(np.float64)
    names = [face.face_id for batch in batches for entry in batch for face in entry.scan.faces]
    watch = Stopwatch()
    labels = watch.time(DBSCAN(eps=CLUSTERING.eps, min_samples=1, n_jobs=2).fit, vectors).labels_
    clusters = {assignment.face_id: assignment.cluster_id for assignment in stream.clustering.assignments()}
    same = _same_clusters([clusters[name] for name in names], labels)
    what = f"scikit-learn's DBSCAN: {'the same clusters' if same else 'OTHER CLUSTERS'}"
    yield watch.row(f"{what}, all at once", faces, times_ours=watch.seconds / ours.seconds)
    batch_seconds = float(np.median(ours.times[-10:]))
    again = watch.row(
        "scikit-learn's DBSCAN, again for one more batch", faces, times_ours=watch.seconds / batch_seconds
    )
    yield replace(again, faces_per_s=_BATCH / watch.seconds)
    yield from _incremental(vectors[:incremental_faces], sum(ours.times[: incremental_faces // _BATCH]))


def _incremental(vectors: npt.NDArray[np.float64], our_seconds: float) -> Iterator[Row]:
    incremental = IncrementalDBSCAN(eps=CLUSTERING.eps, min_pts=1)
    watch = Stopwatch()
    for start in range(0, len(vectors), _BATCH):
        watch.time(incremental.insert, vectors[start : start + _BATCH])
    yield watch.row("incdbscan, batches of 256", len(vectors), times_ours=watch.seconds / our_seconds)

    stream = Stream(Archive(len(vectors)), _BATCH, by_radius())
    for _ in stream.insert():
        pass
    index_watch, cluster_watch, watch = Stopwatch(), Stopwatch(), Stopwatch()
    for entry in next(stream.archive.batches(_WITHDRAWN)):
        stream.apply([Withdrawn(entry.scan_id)], index_watch, cluster_watch)
    for row in vectors[:_WITHDRAWN]:
        watch.time(incremental.delete, row[None])
    ours = index_watch.combined(cluster_watch)
    yield watch.row("incdbscan, withdrawn faces", _WITHDRAWN, times_ours=watch.seconds / ours.seconds)


def _same_clusters(ours: Sequence[str | None], theirs: npt.NDArray[np.int64]) -> bool:
    pairs = set(zip(ours, theirs.tolist(), strict=True))
    return len(pairs) == len(set(ours)) == len(np.unique(theirs))
