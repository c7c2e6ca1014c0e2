"""Other implementations on the same faces in the same run, and whether they find the same clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from incdbscan import IncrementalDBSCAN
from sklearn.cluster import DBSCAN

from benchmarks.in_process import Stream
from benchmarks.measurement import Row, Watch
from benchmarks.parameters import CLUSTERING
from index.entries import Withdrawn

_BATCH = 256
_WITHDRAWN = 50


def measure(faces: int, incremental_faces: int) -> Iterator[Row]:
    """scikit-learn's DBSCAN on `faces`, incdbscan on `incremental_faces` of them, and the index and clustering here."""
    stream = Stream(faces, _BATCH)
    for _ in stream.insert():
        pass
    ours = stream.index_watch.and_then(stream.cluster_watch)
    yield ours.row("here, index and cluster, batches of 256", faces)
    batches = list(stream.archive.batches(_BATCH))
    vectors = np.concatenate([entry.vectors for batch in batches for entry in batch]).astype(np.float64)
    names = [face.face_id for batch in batches for entry in batch for face in entry.scan.faces]
    watch = Watch()
    labels = watch.time(DBSCAN(eps=CLUSTERING.eps, min_samples=1, n_jobs=2).fit, vectors).labels_
    clusters = {it.face_id: it.cluster_id for it in stream.clustering.assignments()}
    same = _are_the_same([clusters[name] for name in names], labels)
    what = f"scikit-learn's DBSCAN: {'the same clusters' if same else 'OTHER CLUSTERS'}"
    yield watch.row(f"{what}, all at once", faces, times_ours=watch.seconds / ours.seconds)
    a_batch = float(np.median(ours.times[-10:]))
    anew = watch.row("scikit-learn's DBSCAN, anew for a batch more", faces, times_ours=watch.seconds / a_batch)
    yield replace(anew, faces_per_s=_BATCH / watch.seconds)
    yield from _incremental(vectors[:incremental_faces], sum(ours.times[: incremental_faces // _BATCH]))


def _incremental(vectors: npt.NDArray[np.float64], our_seconds: float) -> Iterator[Row]:
    incremental = IncrementalDBSCAN(eps=CLUSTERING.eps, min_pts=1)
    watch = Watch()
    for start in range(0, len(vectors), _BATCH):
        watch.time(incremental.insert, vectors[start : start + _BATCH])
    yield watch.row("incdbscan, batches of 256", len(vectors), times_ours=watch.seconds / our_seconds)

    stream = Stream(len(vectors), _BATCH)
    for _ in stream.insert():
        pass
    index_watch, cluster_watch, watch = Watch(), Watch(), Watch()
    for entry in next(stream.archive.batches(_WITHDRAWN)):
        stream.take([Withdrawn(entry.scan_id)], index_watch, cluster_watch)
    for row in vectors[:_WITHDRAWN]:
        watch.time(incremental.delete, row[None])
    ours = index_watch.and_then(cluster_watch)
    yield watch.row("incdbscan, withdrawn faces", _WITHDRAWN, times_ours=watch.seconds / ours.seconds)


def _are_the_same(ours: Sequence[str | None], theirs: npt.NDArray[np.int64]) -> bool:
    pairs = set(zip(ours, theirs.tolist(), strict=True))
    return len(pairs) == len(set(ours)) == len(np.unique(theirs))
