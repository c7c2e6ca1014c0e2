"""How fast faces are clustered as they come in and go: the graph alone, and together with the index that feeds it.

`python -m benchmarks.clustering --faces 100000` prints a row for each tenfold on the way and for what is done at the
end; `--json` prints a line a row, `--quick` ends within a minute. It is the two steps by themselves: no Kafka, and
neither decoding nor encoding of records. Beside them run scikit-learn's DBSCAN and incdbscan, on as many faces as
they can take (`pip install --group dev --group benchmarks`).
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import psutil
from incdbscan import IncrementalDBSCAN
from rich.console import Console
from rich.table import Table
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN

from benchmarks.index import Archive, analysed
from clustering import snapshot
from clustering.clustering import Clustering, Parameters, PartWithdrawn
from clustering.partition import partition_at
from index.face_index import FaceIndex
from index.log import Analysed
from index.parameters import Parameters as IndexParameters
from schemas.faces import Quality
from schemas.neighbours import FaceNeighbours, NeighboursFound, parse_neighbours_key
from schemas.topics import Tombstone

_EPS = 0.37
_SINGLE_FACES = 500
_WITHDRAWN = 500
_AUDITED = 25
_QUALITY = Quality(size_px=80, sharpness=50)
_THEN = datetime(1918, 2, 24, tzinfo=UTC)

Result = TypeVar("Result")
Said = NeighboursFound | PartWithdrawn


@dataclass(frozen=True)
class Row:
    """One measurement. Rates are over all `faces`; p50 and p99 are of a batch, here of the last tenth of them.

    neighbours: edges a face within eps_max, counted at both ends. cores: processor time by clock time; well below
    what the step can use, it says that others had the processor.
    """

    what: str
    faces: int
    faces_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    bytes_per_face: float | None = None
    recall: float | None = None
    neighbours: float | None = None
    cores: float | None = None


class Watch:
    """Times calls, by the clock and by the processor."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.processor = 0.0

    def time(self, call: Callable[..., Result], *given: object) -> Result:
        """Call it, and note how long it took."""
        processor, clock = time.process_time(), time.perf_counter()
        result = call(*given)
        self.times.append(time.perf_counter() - clock)
        self.processor += time.process_time() - processor
        return result

    def and_then(self, other: Watch) -> Watch:
        """Both, one after the other."""
        both = Watch()
        both.times = [one + another for one, another in zip(self.times, other.times, strict=True)]
        both.processor = self.processor + other.processor
        return both

    def row(self, what: str, faces: int, neighbours: float | None = None) -> Row:
        """The measurement, of this many faces in all."""
        seconds = sum(self.times)
        last = self.times[-max(len(self.times) // 10, 10) :] if len(self.times) > _SINGLE_FACES else self.times
        p50, p99 = (1000 * np.percentile(last, [50, 99])).tolist()
        return Row(what, faces, faces / seconds, p50, p99, neighbours=neighbours, cores=self.processor / seconds)


def said(found: Sequence[NeighboursFound | Tombstone]) -> list[Said]:
    """What the index says, as the clustering takes it."""
    return [it if isinstance(it, NeighboursFound) else PartWithdrawn(*parse_neighbours_key(it.key)) for it in found]


class Stream:
    """An archive going through the index and the clustering."""

    def __init__(self, faces: int, batch: int) -> None:
        self.archive = Archive(faces)
        self.faces = faces
        self.batch = batch
        self.index = FaceIndex(IndexParameters(threads=2))
        self.clustering = Clustering(Parameters(eps=_EPS))

    def take(self, entries: list[Analysed]) -> None:
        """A batch through both."""
        self.clustering.apply(said(self.index.apply(entries)))

    def insert(self) -> Iterator[Row]:
        """Rows for 1,000 faces, each tenfold of it, and all."""
        index_watch, watch = Watch(), Watch()
        done, mark = 0, min(1000, self.faces)
        for entries in self.archive.batches(self.batch):
            found = said(index_watch.time(self.index.apply, entries))
            watch.time(self.clustering.apply, found)
            done += sum(len(entry.scan.faces) for entry in entries)
            if done >= mark:
                neighbours = 2 * self.clustering.graph.edges.rows / done
                both = index_watch.and_then(watch)
                for what, times in (("index", index_watch), ("cluster", watch), ("index and cluster", both)):
                    yield times.row(f"{what}, batches of {self.batch}", done, neighbours)
                mark = min(10 * mark, self.faces)

    def single_faces(self) -> Iterator[Row]:
        """Batches of one face, each much like one that is there."""
        vectors = next(self.archive.batches(_SINGLE_FACES))
        index_watch, watch = Watch(), Watch()
        generator = np.random.default_rng(2)
        for number, vector in enumerate(np.concatenate([entry.vectors for entry in vectors]), start=self.faces):
            near = vector + generator.normal(scale=0.01, size=vector.shape).astype(np.float32)
            entry = analysed(number, near[None])
            found = said(index_watch.time(self.index.apply, [entry]))
            watch.time(self.clustering.apply, found)
        for what, times in (("cluster", watch), ("index and cluster", index_watch.and_then(watch))):
            yield times.row(f"{what}, single faces", _SINGLE_FACES)

    def recall(self) -> Row:
        """Of the pairs within eps_max, those that the graph holds, for some faces of every tenth of the archive."""
        batches = list(self.archive.batches(self.batch))
        entries = [entry for batch in batches[:: max(1, len(batches) // 10)] for entry in batch[:_AUDITED]]
        exact = self.index.search(entries, exactly=True)
        faces = [(face.face_id, set(face.neighbours)) for record in exact for face in record.faces]
        graph = self.clustering.graph
        held = 0
        for node, (_, neighbours) in zip(graph.node_index.find([it for it, _ in faces]), faces, strict=True):
            _, edges = graph.edges_of.read(np.array([node]))
            known = graph.nodes.face_id[graph.other_end(edges, np.full(len(edges), node))]
            held += len(neighbours & set(known.tolist()))
        pairs = sum(len(neighbours) for _, neighbours in faces)
        return Row(f"recall of {pairs} pairs, before any audit", self.index.faces, recall=held / pairs)

    def withdraw(self) -> Row:
        """Scans of two faces, in the order they came."""
        entries: list[Analysed] = next(self.archive.batches(2 * _WITHDRAWN))
        watch = Watch()
        for entry in entries:
            watch.time(self.clustering.apply, [PartWithdrawn(entry.scan_id, 0)])
        return watch.row("cluster, withdrawn scans of 2", 2 * len(entries))

    def partition(self) -> Row:
        """All faces at another eps."""
        watch = Watch()
        watch.time(partition_at, self.clustering, 0.34)
        return watch.row("partition at another eps", self.index.faces)

    def restart(self, folder: Path) -> Iterator[Row]:
        """Snapshot written, and read by a process that has nothing else in its memory."""
        watch = Watch()
        path = watch.time(snapshot.save, self.clustering, folder, 0)
        faces = sum(self.clustering.sizes().values())
        size = path.stat().st_size / faces
        yield Row("snapshot written", faces, faces / watch.times[0], bytes_per_face=size)
        command = [sys.executable, "-m", "benchmarks.clustering", "--restart", str(folder)]
        seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        yield Row("restart from the snapshot", faces, faces / seconds, bytes_per_face=memory / faces)


def restart(folder: Path) -> tuple[float, int]:
    """Seconds to load a snapshot, and bytes of memory that this took."""
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    restored = snapshot.load(folder, Parameters(eps=_EPS))
    seconds = time.perf_counter() - started
    if restored.refused:
        raise restored.refused[0]
    gc.collect()
    return seconds, psutil.Process().memory_info().rss - before


def one_person(faces: int) -> Row:
    """Deletions, one at a time, from one cluster: a person whose faces are mostly within eps_max of one another."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(scale=0.0235, size=(faces, 128))
    clustering = Clustering(Parameters(eps=_EPS))
    for start in range(0, faces, 100):
        distances = cdist(vectors[start : start + 100], vectors[: start + 100])
        batch = [_record(start + row, np.minimum(line, 9.0)) for row, line in enumerate(distances)]
        clustering.apply(batch)
    largest = max(clustering.sizes().values())
    neighbours = 2 * clustering.graph.edges.rows / faces
    watch = Watch()
    for victim in generator.permutation(faces)[:_WITHDRAWN].tolist():
        watch.time(clustering.apply, [PartWithdrawn(str(victim), 0)])
    return watch.row(f"cluster, withdrawn faces of one cluster of {largest}", _WITHDRAWN, neighbours)


def _record(face: int, distances: npt.NDArray[np.float64]) -> NeighboursFound:
    near = np.flatnonzero(distances[:face] <= 0.5)
    found = FaceNeighbours(
        face_id=f"face-{face}",
        score=1.0,
        quality=_QUALITY,
        neighbours=tuple(f"face-{other}" for other in near.tolist()),
        analyses=tuple(near.tolist()),
        distances=tuple(distances[near].tolist()),
    )
    return NeighboursFound(
        scan_id=str(face), analysis=face, shard=0, shards=1, eps_max=0.5, published_at=_THEN, faces=(found,)
    )


def beside(faces: int, incremental_faces: int) -> Iterator[Row]:
    """The same faces through other implementations, and whether they say the same."""
    entries = list(Archive(faces).batches(256))
    ours = Stream(faces, batch=256)
    watch = Watch()
    for batch in entries:
        watch.time(ours.take, batch)
    yield watch.row("here, exact search and cluster, batches of 256", faces)
    vectors = np.concatenate([entry.vectors for batch in entries for entry in batch]).astype(np.float64)
    watch = Watch()
    labels = watch.time(DBSCAN(eps=_EPS, min_samples=1, n_jobs=2).fit, vectors).labels_
    clusters = {it.face_id: it.cluster_id for it in ours.clustering.assignments()}
    names = [face.face_id for batch in entries for entry in batch for face in entry.scan.faces]
    same = len({(clusters[name], label) for name, label in zip(names, labels, strict=True)}) == labels.max() + 1
    agreement = "the same clusters" if same and len(set(clusters.values())) == labels.max() + 1 else "OTHER CLUSTERS"
    yield watch.row(f"scikit-learn's DBSCAN, all at once: {agreement}", faces)
    incremental = IncrementalDBSCAN(eps=_EPS, min_pts=1)
    watch = Watch()
    for start in range(0, incremental_faces, 256):
        rows = vectors[start : min(start + 256, incremental_faces)]
        watch.time(incremental.insert, rows)
    yield watch.row("incdbscan, batches of 256", incremental_faces)
    watch = Watch()
    for row in vectors[:50]:
        watch.time(incremental.delete, row[None])
    yield watch.row("incdbscan, withdrawn faces", 50)


def measure(faces: int, batch: int, quick: bool) -> Iterator[Row]:
    """All rows."""
    stream = Stream(faces, batch)
    yield from stream.insert()
    yield stream.recall()
    yield from stream.single_faces()
    yield stream.partition()
    with tempfile.TemporaryDirectory() as folder:
        yield from stream.restart(Path(folder))
    yield stream.withdraw()
    stream.index.close()
    del stream
    yield one_person(2_000 if quick else 10_000)
    yield from beside(*(5_000, 500) if quick else (20_000, 3_000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clustering", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=256, help="faces a batch (256)")
    parser.add_argument("--quick", action="store_true", help="10,000 faces and less beside them: under a minute")
    parser.add_argument("--json", action="store_true", help="a line a row")
    parser.add_argument("--restart", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.restart:
        print(json.dumps(restart(arguments.restart)))
        return
    rows = measure(10_000 if arguments.quick else arguments.faces, arguments.batch, arguments.quick)
    if arguments.json:
        for row in rows:
            print(json.dumps(asdict(row)), flush=True)
    else:
        _print(rows)


def _print(rows: Iterator[Row]) -> None:
    table = Table(*(name.replace("_", " ") for name in Row.__dataclass_fields__))
    table.columns[0].no_wrap = True
    for row in rows:
        cells = [f"{value:,.4g}" if isinstance(value, float) else value for value in asdict(row).values()]
        table.add_row(*("" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
