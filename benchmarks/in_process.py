"""The index and the clustering by themselves, in one process: no Kafka, and no decoding or encoding of records."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from benchmarks.archive import Archive, analysed
from benchmarks.measurement import Curves, Row, Watch
from benchmarks.parameters import CLUSTERING, INDEX
from clustering import snapshot as clustering_snapshot
from clustering.clustering import Clustering, NeighboursWithdrawn
from clustering.what_if import hypothetical_clusters
from index import snapshot as index_snapshot
from index.audit import audit
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.defaults import EPS_MAX
from schemas.faces import Quality
from schemas.neighbours import FaceNeighbours, NeighboursFound, parse_neighbours_key
from schemas.topics import Tombstone

_SINGLE_FACES = 500
_WITHDRAWN = 500
_AUDITED_SCANS = 1_000
_POINTS = 50
_QUALITY = Quality(size_px=80, sharpness=50)
_THEN = datetime(1918, 2, 24, tzinfo=UTC)

ClusteringInput = NeighboursFound | NeighboursWithdrawn


def said(found: Sequence[NeighboursFound | Tombstone]) -> list[ClusteringInput]:
    """What the index says, as the clustering takes it."""
    return [
        it if isinstance(it, NeighboursFound) else NeighboursWithdrawn(*parse_neighbours_key(it.key)) for it in found
    ]


class Stream:
    """An archive that goes through the index and the clustering, each timed."""

    def __init__(self, faces: int, batch: int, parameters: Parameters = INDEX) -> None:
        """Nothing has gone through yet."""
        self.faces = faces
        self.archive = Archive(faces)
        self.index = FaceIndex(parameters)
        self.clustering = Clustering(CLUSTERING)
        self.index_watch = Watch()
        self.cluster_watch = Watch()
        self._batch = batch
        self._sample: list[tuple[Analysed, NeighboursFound]] = []

    def take(
        self, entries: list[Analysed | Withdrawn], index_watch: Watch, cluster_watch: Watch
    ) -> list[ClusteringInput]:
        """A batch through both. What the index has said."""
        found = said(index_watch.time(self.index.apply, entries))
        cluster_watch.time(self.clustering.apply, found)
        return found

    def insert(self) -> Iterator[Row]:
        """Rows for 1,000 faces, each tenfold of it, and all."""
        generator = np.random.default_rng(1)
        done, mark = 0, min(1000, self.faces)
        for entries in self.archive.batches(self._batch):
            found = self.take([*entries], self.index_watch, self.cluster_watch)
            keep = generator.random(len(entries)) < 2 * _AUDITED_SCANS / self.faces
            for entry, record, kept in zip(entries, found, keep.tolist(), strict=True):
                if kept and isinstance(record, NeighboursFound):
                    self._sample.append((entry, record))
            done += sum(len(entry.scan.faces) for entry in entries)
            if done >= mark:
                yield from _rows(self.index_watch, self.cluster_watch, f"batches of {self._batch}", done)
                mark = min(10 * mark, self.faces)

    def curves(self) -> Curves:
        """What one more face cost on the way."""
        size = max(1, len(self.index_watch.times) // _POINTS)
        curves = {}
        for label, watch in (("index", self.index_watch), ("cluster", self.cluster_watch)):
            whole = watch.times[: len(watch.times) // size * size]
            milliseconds = np.reshape(whole, (-1, size)).mean(axis=1) * 1000 / self._batch
            faces = (1 + np.arange(len(milliseconds))) * size * self._batch
            curves[label] = (faces.tolist(), milliseconds.tolist())
        return curves

    def single_faces(self) -> Iterator[Row]:
        """Batches of one face, each much like one that is there."""
        entries = next(self.archive.batches(_SINGLE_FACES))
        vectors = np.concatenate([entry.vectors for entry in entries])
        vectors += np.random.default_rng(2).normal(scale=0.01, size=vectors.shape).astype(np.float32)
        index_watch, watch = Watch(), Watch()
        for number, vector in enumerate(vectors, start=self.faces):
            self.take([analysed(number, vector[None])], index_watch, watch)
        yield from _rows(index_watch, watch, f"single faces among {self.faces:,}", len(vectors))

    def recall(self) -> Iterator[Row]:
        """Of the pairs within eps_max, those that the graph holds, for scans of every part of the archive.

        A pair is due in the record of its later scan. So for a scan those with earlier faces are looked for.
        """
        entries = [entry for entry, _ in self._sample]
        exact = self.index.search(entries, exactly=True)
        yield Row(f"recall before an audit, {len(entries):,} scans", self.index.faces, recall=self._held(exact))
        watch = Watch()
        seen = watch.time(audit, self.index, entries, [record for _, record in self._sample])
        self.clustering.apply(seen.corrections)
        yield watch.row("audit", sum(len(entry.scan.faces) for entry in entries))
        yield Row("recall after it", self.index.faces, recall=self._held(exact))

    def _held(self, exact: Sequence[NeighboursFound]) -> float:
        graph = self.clustering.graph
        held = due = 0
        for record in exact:
            for face in record.faces:
                (node,) = graph.node_index.find([face.face_id])
                _, edges = graph.edges_of.read(np.array([node]))
                known = set(graph.nodes.face_id[graph.other_end(edges, np.full(len(edges), node))].tolist())
                pairs = zip(face.neighbours, face.analyses, strict=True)
                earlier = [name for name, analysis in pairs if analysis <= record.analysis]
                due += len(earlier)
                held += len(known.intersection(earlier))
        return held / due if due else 1.0

    def partition(self) -> Row:
        """All faces at another eps."""
        watch = Watch()
        watch.time(hypothetical_clusters, self.clustering, 0.34)
        return watch.row("partition at another eps", self.index.faces)

    def restart(self) -> Iterator[Row]:
        """Snapshots written, and read by processes that have nothing else in their memory."""
        with tempfile.TemporaryDirectory() as folder:
            yield from self._restart("index", Path(folder), lambda to: index_snapshot.save(self.index, to, 0))
        with tempfile.TemporaryDirectory() as folder:
            yield from self._restart(
                "cluster", Path(folder), lambda to: clustering_snapshot.save(self.clustering, to, 0)
            )

    def _restart(self, what: str, folder: Path, save: Callable[[Path], Path]) -> Iterator[Row]:
        watch = Watch()
        watch.time(save, folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        faces = self.index.faces
        yield replace(watch.row(f"{what}, snapshot written", faces), bytes_per_face=size / faces)
        command = [sys.executable, "-m", "benchmarks.restart", what, str(folder), str(self.index.parameters.m)]
        seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        yield Row(
            f"{what}, restart from it; its memory", faces, faces / seconds, None, None, memory / faces, seconds=seconds
        )

    def withdraw(self) -> Iterator[Row]:
        """Scans of two faces, in the order they came."""
        index_watch, watch = Watch(), Watch()
        entries = next(self.archive.batches(2 * _WITHDRAWN))
        for entry in entries:
            self.take([Withdrawn(entry.scan_id)], index_watch, watch)
        yield from _rows(index_watch, watch, "withdrawn scans", 2 * len(entries))


def measure(stream: Stream) -> Iterator[Row]:
    """All rows."""
    yield from stream.insert()
    yield from stream.recall()
    yield from stream.single_faces()
    yield stream.partition()
    yield from stream.restart()
    yield from stream.withdraw()
    stream.index.close()


def one_person(faces: int) -> Row:
    """Deletions, one at a time, from one cluster: a person whose faces are mostly within eps_max of one another."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(scale=0.0235, size=(faces, 128))
    clustering = Clustering(CLUSTERING)
    for start in range(0, faces, 100):
        distances = cdist(vectors[start : start + 100], vectors[: start + 100])
        batch = [_record(start + row, np.minimum(line, 9.0)) for row, line in enumerate(distances)]
        clustering.apply(batch)
    largest = max(clustering.sizes().values())
    watch = Watch()
    for victim in generator.permutation(faces)[:_WITHDRAWN].tolist():
        watch.time(clustering.apply, [NeighboursWithdrawn(str(victim), 0)])
    return watch.row(f"cluster, withdrawn faces of one cluster of {largest:,}", _WITHDRAWN)


def _record(face: int, distances: npt.NDArray[np.float64]) -> NeighboursFound:
    near = np.flatnonzero(distances[:face] <= INDEX.eps_max)
    found = FaceNeighbours(
        face_id=f"face-{face}",
        score=1.0,
        quality=_QUALITY,
        neighbours=tuple(f"face-{other}" for other in near.tolist()),
        analyses=tuple(near.tolist()),
        distances=tuple(distances[near].tolist()),
    )
    return NeighboursFound(
        scan_id=str(face), analysis=face, shard=0, shards=1, eps_max=EPS_MAX, published_at=_THEN, faces=(found,)
    )


def _rows(index_watch: Watch, watch: Watch, how: str, faces: int) -> Iterator[Row]:
    both = index_watch.and_then(watch)
    for what, times in (("index", index_watch), ("cluster", watch), ("index and cluster", both)):
        yield times.row(f"{what}, {how}", faces)
