"""Measures the index and the clustering in one process, without Kafka and without encoding or decoding records."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from benchmarks.archive import PUBLISHED_AT, QUALITY, Archive, analysed
from benchmarks.measurement import Curves, Row, Stopwatch
from benchmarks.parameters import CLUSTERING, INDEX, Rule
from benchmarks.quality import neighbours_of
from clustering import snapshot as clustering_snapshot
from clustering.clustering import Clustering, Delta, NeighboursWithdrawn
from clustering.what_if import hypothetical_clusters
from evaluation.measures import pairwise
from index import snapshot as index_snapshot
from index.audit import audit
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from schemas.defaults import EPS_MAX
from schemas.faces import EMBEDDING_DIMENSIONS
from schemas.neighbours import FaceNeighbours, NeighboursFound, parse_neighbours_key
from schemas.topics import Tombstone

_SINGLE_FACES = 500
_WITHDRAWN = 500
_AUDITED_SCANS = 1_000
# Points of a curve.
_POINTS = 50

ClusteringInput = NeighboursFound | NeighboursWithdrawn


def clustering_inputs(outputs: Sequence[NeighboursFound | Tombstone]) -> list[ClusteringInput]:
    """The outputs of the index, as inputs of the clustering."""
    return [
        output if isinstance(output, NeighboursFound) else NeighboursWithdrawn(*parse_neighbours_key(output.key))
        for output in outputs
    ]


class Stream:
    """An archive, and an index and a clustering that are timed while they process it."""

    def __init__(self, archive: Archive, batch: int, rule: Rule) -> None:
        """An empty index and clustering, for an archive that comes in batches of so many faces."""
        self.faces = len(archive.people)
        self.archive = archive
        self.rule = rule
        self.index = FaceIndex(rule.index)
        self.clustering = Clustering(rule.clustering)
        self.index_watch = Stopwatch()
        self.cluster_watch = Stopwatch()
        self._batch = batch
        self._sample: list[tuple[Analysed, NeighboursFound]] = []
        # By batch of `insert`, how many assignments it changed, and its faces.
        self._changed: list[tuple[int, int]] = []

    def apply(
        self, entries: list[Analysed | Withdrawn], index_watch: Stopwatch, cluster_watch: Stopwatch
    ) -> tuple[list[ClusteringInput], Delta]:
        """Apply a batch to the index, and its output to the clustering. Returns that output, and what it changed."""
        records = clustering_inputs(index_watch.time(self.index.apply, entries))
        return records, cluster_watch.time(self.clustering.apply, records)

    def insert(self) -> Iterator[Row]:
        """Insert all faces. Rows for 1,000 faces, for each tenfold of that, and for all."""
        generator = np.random.default_rng(1)
        done, mark = 0, min(1000, self.faces)
        for entries in self.archive.batches(self._batch):
            records, delta = self.apply([*entries], self.index_watch, self.cluster_watch)
            sampled = generator.random(len(entries)) < 2 * _AUDITED_SCANS / self.faces
            for entry, record, in_sample in zip(entries, records, sampled.tolist(), strict=True):
                if in_sample and isinstance(record, NeighboursFound):
                    self._sample.append((entry, record))
            faces = sum(len(entry.scan.faces) for entry in entries)
            self._changed.append((len(delta.assignments), faces))
            done += faces
            if done >= mark:
                yield from _rows(self.index_watch, self.cluster_watch, f"batches of {self._batch}", done)
                mark = min(10 * mark, self.faces)

    def quality(self) -> Row:
        """How the clusters compare with the people."""
        cluster_of = {it.face_id: it.cluster_id for it in self.clustering.assignments()}
        names = [face.face_id for batch in self.archive.batches(self._batch) for it in batch for face in it.scan.faces]
        clusters = np.unique([str(cluster_of[name]) for name in names], return_inverse=True)[1]
        precision, recall = pairwise(self.archive.people, clusters)
        changed, added = np.sum(self._changed[-max(1, len(self._changed) // 10) :], axis=0)
        return Row(
            f"people; the largest has {np.bincount(self.archive.people).max():,} faces",
            self.faces,
            precision=precision,
            recall=recall,
            largest=int(np.bincount(clusters).max()),
            neighbours=neighbours_of(self.clustering) / self.faces,
            assignments=changed / added,
        )

    def curves(self) -> Curves:
        """The time of one more face in the course of `insert`, averaged over some batches."""
        size = max(1, len(self.index_watch.times) // _POINTS)
        curves = {}
        for label, watch in (("index", self.index_watch), ("cluster", self.cluster_watch)):
            whole = watch.times[: len(watch.times) // size * size]
            milliseconds = np.reshape(whole, (-1, size)).mean(axis=1) * 1000 / self._batch
            faces = (1 + np.arange(len(milliseconds))) * size * self._batch
            curves[label] = (faces.tolist(), milliseconds.tolist())
        return curves

    def single_faces(self) -> Iterator[Row]:
        """Insert batches of one face, each similar to a face that is there."""
        entries = next(self.archive.batches(_SINGLE_FACES))
        vectors = np.concatenate([entry.vectors for entry in entries])
        vectors += np.random.default_rng(2).normal(scale=0.01, size=vectors.shape).astype(np.float32)
        index_watch, watch = Stopwatch(), Stopwatch()
        for number, vector in enumerate(vectors, start=self.faces):
            self.apply([analysed(number, vector[None])], index_watch, watch)
        yield from _rows(index_watch, watch, f"single faces among {self.faces:,}", len(vectors))

    def recall(self) -> Iterator[Row]:
        """The share of pairs within eps_max that the graph has, for sampled scans, before and after an audit.

        A pair belongs in the record of the later scan, so the pairs of a scan with earlier faces are counted.
        """
        entries = [entry for entry, _ in self._sample]
        exact = self.index.search(entries, exactly=True)
        yield Row(f"recall before an audit, {len(entries):,} scans", self.index.faces, recall=self._recall(exact))
        watch = Stopwatch()
        seen = watch.time(audit, self.index, entries, [record for _, record in self._sample])
        self.clustering.apply(seen.corrections)
        yield watch.row("audit", sum(len(entry.scan.faces) for entry in entries))
        yield Row("recall after it", self.index.faces, recall=self._recall(exact))

    def _recall(self, exact: Sequence[NeighboursFound]) -> float:
        graph = self.clustering.graph
        present = expected = 0
        for record in exact:
            for face in record.faces:
                node = graph.node_index.live([face.face_id])[face.face_id]
                _, edges = graph.edges_of.read(np.array([node]))
                known = set(graph.nodes.face_id[graph.other_end(edges, np.full(len(edges), node))].tolist())
                pairs = zip(face.neighbours, face.analyses, strict=True)
                earlier = [face_id for face_id, analysis in pairs if analysis <= record.analysis]
                expected += len(earlier)
                present += len(known.intersection(earlier))
        return present / expected if expected else 1.0

    def at_another_eps(self) -> Row:
        """Compute the clusters of all faces at another eps."""
        watch = Stopwatch()
        watch.time(hypothetical_clusters, self.clustering, 0.34)
        return watch.row("partition at another eps", self.index.faces)

    def restart(self) -> Iterator[Row]:
        """Write snapshots, and load each in a process of its own (restart.py)."""
        with tempfile.TemporaryDirectory() as folder:
            yield from self._restart("index", Path(folder), lambda target: index_snapshot.save(self.index, target, 0))
        with tempfile.TemporaryDirectory() as folder:
            yield from self._restart(
                "cluster", Path(folder), lambda target: clustering_snapshot.save(self.clustering, target, 0)
            )

    def _restart(self, what: str, folder: Path, save: Callable[[Path], Path]) -> Iterator[Row]:
        watch = Stopwatch()
        watch.time(save, folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        faces = self.index.faces
        yield replace(watch.row(f"{what}, snapshot written", faces), bytes_per_face=size / faces)
        rule = folder / "rule.pickle"
        rule.write_bytes(pickle.dumps(self.rule))
        command = [sys.executable, "-m", "benchmarks.restart", what, str(folder), str(rule)]
        seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        yield Row(
            f"{what}, restart from it; its memory", faces, faces / seconds, None, None, memory / faces, seconds=seconds
        )

    def withdraw(self) -> Iterator[Row]:
        """Withdraw scans of two faces each, oldest first."""
        index_watch, watch = Stopwatch(), Stopwatch()
        entries = next(self.archive.batches(2 * _WITHDRAWN))
        for entry in entries:
            self.apply([Withdrawn(entry.scan_id)], index_watch, watch)
        yield from _rows(index_watch, watch, "withdrawn scans", 2 * len(entries))


def measure(stream: Stream) -> Iterator[Row]:
    """All measurements."""
    yield from stream.insert()
    yield stream.quality()
    yield from stream.recall()
    yield from stream.single_faces()
    yield stream.at_another_eps()
    yield from stream.restart()
    yield from stream.withdraw()
    stream.index.close()


def one_person(faces: int) -> Row:
    """Withdraw faces one by one from one cluster, whose faces are mostly within eps_max of each other."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(scale=0.0235, size=(faces, EMBEDDING_DIMENSIONS))
    clustering = Clustering(CLUSTERING)
    for start in range(0, faces, 100):
        distances = cdist(vectors[start : start + 100], vectors[: start + 100])
        batch = [_record(start + row, np.minimum(line, 9.0)) for row, line in enumerate(distances)]
        clustering.apply(batch)
    largest = max(clustering.sizes().values())
    watch = Stopwatch()
    for face in generator.permutation(faces)[:_WITHDRAWN].tolist():
        watch.time(clustering.apply, [NeighboursWithdrawn(str(face), 0)])
    return watch.row(f"cluster, withdrawn faces of one cluster of {largest:,}", _WITHDRAWN)


def _record(face: int, distances: npt.NDArray[np.float64]) -> NeighboursFound:
    near = np.flatnonzero(distances[:face] <= INDEX.eps_max)
    record = FaceNeighbours(
        face_id=f"face-{face}",
        score=1.0,
        quality=QUALITY,
        neighbours=tuple(f"face-{other}" for other in near.tolist()),
        analyses=tuple(near.tolist()),
        distances=tuple(distances[near].tolist()),
    )
    return NeighboursFound(
        scan_id=str(face), analysis=face, shard=0, shards=1, eps_max=EPS_MAX, published_at=PUBLISHED_AT, faces=(record,)
    )


def _rows(index_watch: Stopwatch, cluster_watch: Stopwatch, how: str, faces: int) -> Iterator[Row]:
    both = index_watch.combined(cluster_watch)
    for what, watch in (("index", index_watch), ("cluster", cluster_watch), ("index and cluster", both)):
        yield watch.row(f"{what}, {how}", faces)
