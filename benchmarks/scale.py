"""What grows with an archive, for docs/scale.md: `python -m benchmarks.scale --faces 100000`.

`feed`: scans with one face each on the embedded broker, and what a command that publishes reads of them, with and
without its indexes. `start`: what a start of the clusterer reads of `assignments`. `graph`: the index and the
clustering with the default settings and a reference of the archive's own, their snapshots and memory. It takes real
embeddings with `--set FILE.npz` (as benchmarks/quality.py does), and synthetic ones otherwise. `counts`: what the
progress of `run` and `watch` reads of the catalogue twice a second, and what keeping it costs the writer. `pairs`: the
memory of a graph whose faces have so many pairs each, of faces that are drawn at random.

Seconds are of the clock. Where other programs run, the processor's seconds of this process say more.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import psutil
from psycopg import Connection
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.archive import PUBLISHED_AT, QUALITY, Archive, analysed, published
from benchmarks.quality import Set, load, neighbours_of, own_reference
from catalogue import counts, reader
from catalogue.connection import connect
from clustering import snapshot as clustering_snapshot
from clustering.clustering import Clustering, Parameters
from consumers.cluster import difference, parameters_of, published_in
from consumers.index import parameters_of as index_parameters_of
from index import snapshot as index_snapshot
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from local.services import services
from producers.identity import identify
from producers.kept import with_faces
from producers.known import KnownScans, known_scans
from schemas.base import Event
from schemas.codec import encode
from schemas.neighbours import FaceNeighbours, NeighboursFound
from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, FACES, SCANS, topic_of
from settings import KafkaSettings, Settings
from stream import clients
from stream.reading import latest_values
from stream.topics import ensure_topics

_SECTIONS = ("feed", "start", "graph", "counts", "pairs")
_CHANGED = 100
_AGAIN = 5_000
_BATCH = 256
_PAIRS = (0, 16, 32, 48, 64)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """A measurement: of how many, the seconds and those of the processor; bytes, or another figure, of each."""

    what: str
    number: int
    seconds: float | None = None
    processor_s: float | None = None
    each: float | None = None


def timed(what: str, number: int, call: Callable[[], Result]) -> tuple[Row, Result]:
    """Call, and measure."""
    began, processor = time.perf_counter(), time.process_time()
    result = call()
    return Row(what, number, time.perf_counter() - began, time.process_time() - processor), result


def resident() -> int:
    """Bytes of memory that this process has resident."""
    gc.collect()
    memory: int = psutil.Process().memory_info().rss
    return memory


class Sender:
    """Publishes events. A context manager, at the end of which the broker has confirmed them."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = clients.producer(kafka)

    def __enter__(self) -> Sender:
        """Nothing is sent yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the broker."""
        self._producer.flush()
        self._producer.close()

    def send(self, event: Event) -> None:
        """Without waiting for the broker."""
        record = encode(event, event_id=uuid4().hex, time=datetime.now(UTC), source="facestream/benchmark")
        self._producer.send(topic_of(event).name, value=record.value, key=record.key, headers=list(record.headers))


def feed(faces: int, folder: Path) -> Iterator[Row]:
    """What commands that publish read of scans with one face each."""
    with services(Settings(data=folder), database=False, command="benchmark") as running:
        kafka = running.kafka
        ensure_topics(kafka)
        scans: list[ScanPublished] = []
        with Sender(kafka) as sender:
            for entries in Archive(faces).batches(2):
                for one in (entry.scan for entry in entries):
                    for face in one.faces:
                        sha256 = hashlib.sha256(face.face_id.encode()).hexdigest()
                        scans.append(published(face.face_id).model_copy(update={"sha256": sha256}))
                        sender.send(scans[-1])
                        sender.send(one.model_copy(update={"scan_id": face.face_id, "faces": (face,)}))
        yield Row("topic scans, bytes a scan", faces, each=size_of_topic(folder, SCANS.name) / faces)
        yield Row("topic faces, bytes a face", faces, each=size_of_topic(folder, FACES.name) / faces)
        yield from _reads_of_scans(kafka, scans, folder)
        yield from _reads_of_faces(kafka, scans, folder)


def _reads_of_scans(kafka: KafkaSettings, scans: list[ScanPublished], folder: Path) -> Iterator[Row]:
    before = resident()
    row, known = timed("scans known without an index; memory a scan", len(scans), lambda: known_scans(kafka))
    yield _with(row, (resident() - before) / len(scans))
    known.close()
    row, known = timed("scans known, the index made; its bytes a scan", len(scans), lambda: known_scans(kafka, folder))
    yield _with(row, sum(file.stat().st_size for file in (folder / "topics").rglob("*.sqlite")) / len(scans))
    known.close()
    row, known = timed("scans known, the index there", len(scans), lambda: known_scans(kafka, folder))
    yield row
    known.close()
    with Sender(kafka) as sender:
        for one in scans[:_CHANGED]:
            sender.send(one)
    row, known = timed(f"scans known, {_CHANGED} published since", len(scans), lambda: known_scans(kafka, folder))
    yield row
    again = scans[:: max(1, len(scans) // _AGAIN)]
    row, _ = timed("files recognised, of this number", len(again), lambda: _identified(known, again))
    yield row
    row, _ = timed("scans read as they are in the topic", _CHANGED, lambda: known.latest(_ids(scans)))
    yield row
    known.close()


def _identified(known: KnownScans, scans: list[ScanPublished]) -> None:
    for one in scans:
        identify(known, one, named=False, described=True)


def _ids(scans: list[ScanPublished]) -> list[str]:
    return [one.scan_id for one in scans[:: max(1, len(scans) // _CHANGED)][:_CHANGED]]


def _reads_of_faces(kafka: KafkaSettings, scans: list[ScanPublished], folder: Path) -> Iterator[Row]:
    chosen = {one.scan_id: one for one in scans if one.scan_id in set(_ids(scans))}
    for what, where in (("without an index", None), ("the index made", folder), ("the index there", folder)):
        row, _ = timed(
            f"faces to keep of {len(chosen)} changed scans, {what}",
            len(scans),
            lambda where=where: list(with_faces(kafka, chosen, chosen, where)),  # type: ignore[misc]
        )
        yield row


def start(faces: int, folder: Path) -> Iterator[Row]:
    """What a start of the clusterer reads of `assignments`: faces without neighbours, all published as they are."""
    clustering = Clustering(Parameters())
    with services(Settings(data=folder), database=False, command="benchmark") as running:
        ensure_topics(running.kafka)
        with Sender(running.kafka) as sender:
            for entries in Archive(faces).batches(_BATCH):
                delta = clustering.apply([_without_neighbours(entry) for entry in entries])
                for assignment in delta.assignments:
                    sender.send(assignment)
        yield Row("topic assignments, bytes a face", faces, each=size_of_topic(folder, ASSIGNMENTS.name) / faces)
        before = resident()
        row, published = timed(
            "assignments compared; memory a face",
            faces,
            lambda: published_in(running.kafka, ASSIGNMENTS, None, clustering),
        )
        yield _with(row, (resident() - before) / faces)
        row, deltas = timed("what differs", faces, lambda: difference(clustering, published, None))
        assert not deltas
        yield row
        row, values = timed(
            "assignments held whole; memory a face", faces, lambda: latest_values(running.kafka, ASSIGNMENTS)
        )
        yield _with(row, (resident() - before) / len(values))


def _without_neighbours(entry: Analysed) -> NeighboursFound:
    faces = tuple(
        FaceNeighbours(
            face_id=face.face_id, score=face.score, quality=face.quality, neighbours=(), analyses=(), distances=()
        )
        for face in entry.scan.faces
    )
    return NeighboursFound(
        scan_id=entry.scan_id,
        analysis=entry.analysis,
        shard=0,
        shards=1,
        eps_max=1.0,
        published_at=entry.scan.published_at,
        faces=faces,
    )


def graph(one: Set) -> Iterator[Row]:
    """The index and the clustering of a set, with the default settings and its own reference."""
    faces = len(one.face_ids)
    settings = Settings()
    with Progress(console=Console(stderr=True)) as progress:
        reference = own_reference(one, progress, lambda _done, _all: None)
    parameters = parameters_of(settings.clustering, reference.name)
    index_parameters = index_parameters_of(settings, reference)
    index, clustering = FaceIndex(index_parameters), Clustering(parameters)
    sent = 0

    def insert() -> None:
        nonlocal sent
        for first in range(0, faces, _BATCH):
            records = index.apply(_scans(one, first, min(first + _BATCH, faces)))
            found = [record for record in records if isinstance(record, NeighboursFound)]
            if first % (50 * _BATCH) == 0:
                sent = max(sent, max(len(encode(it, event_id="-", time=it.published_at).value or b"") for it in found))
            clustering.apply(found)

    row, _ = timed("inserted into index and graph", faces, insert)
    yield row
    yield Row("a record of neighbours, bytes of the largest looked at", faces, each=sent)
    yield Row("edges held, a face", faces, each=clustering.graph.edges.used / faces)
    yield Row("neighbours that count, a face", faces, each=neighbours_of(clustering) / faces)
    sizes = clustering.graph.edges_of.sizes[: clustering.graph.nodes.used]
    yield Row("edges at a face, the most", faces, each=float(sizes.max()))
    with tempfile.TemporaryDirectory() as folder:
        row, path = timed("snapshot of the index; its bytes a face", faces, lambda: _index_saved(index, Path(folder)))
        yield _with(row, path / faces)
        yield _loaded("the index read from it; its memory a face", faces, Path(folder), index_parameters)
    index.close()
    with tempfile.TemporaryDirectory() as folder:
        row, saved = timed(
            "snapshot of the graph; its bytes a face",
            faces,
            lambda: clustering_snapshot.save(clustering, Path(folder), 0).stat().st_size,
        )
        yield _with(row, saved / faces)
        yield _loaded("the graph read from it; its memory a face", faces, Path(folder), parameters)


def counts_of(faces: int, folder: Path) -> Iterator[Row]:
    """Counts of a catalogue of scans with one face each in clusters of ten, whose rows are made in the database."""
    settings = Settings(data=folder)
    with services(settings, kafka=False, command="benchmark") as running, connect(running.database) as connection:
        for statement in _FILL:
            connection.execute(statement, {"faces": faces})
        row, counted = timed("all rows counted", faces, lambda: all_counted(connection))
        yield row
        row, _ = timed("the kept counts read", faces, lambda: reader.counts(connection))
        yield row
        numbers = range(0, faces, max(1, faces // 500))
        touched = counts.Touched(
            scans=[f"scan-{number}" for number in numbers],
            faces=[f"face-{number}" for number in numbers],
            clusters=[f"face-{number // 10}" for number in numbers],
            letters=[],
        )
        for _ in range(10):
            row, of_batch = timed("the rows of a batch counted", len(numbers), lambda: counted_of(connection, touched))
        yield row
        assert counted.scans == faces
        assert of_batch.faces == len(numbers)


def all_counted(connection: Connection) -> reader.Counts:
    """As they were counted before they were kept."""
    everything = """
        SELECT (SELECT count(*) FROM scans), (SELECT count(*) FROM scans JOIN analyses USING (scan_id)), 0,
            (SELECT count(*) FROM faces), (SELECT count(DISTINCT cluster_id) FROM assignments),
            (SELECT count(*) FROM assignments WHERE role = 'noise'),
            (SELECT count(*) FROM assignments WHERE hard_label IS NOT NULL), (SELECT count(*) FROM dead_letters)
    """
    return reader.Counts(*connection.execute(everything).fetchall()[0])


def counted_of(connection: Connection, touched: counts.Touched) -> reader.Counts:
    """As the writer counts, before and after a batch."""
    return counts.counted(connection, touched.with_clusters_of_faces(connection))


_FILL = (
    "DROP INDEX faces_near",
    """INSERT INTO scans SELECT 'scan-' || n, 'file:///' || n, '', '', '', NULL, '{}', now(), '{}'
    FROM generate_series(0, %(faces)s - 1) n""",
    "INSERT INTO analyses SELECT 'scan-' || n, n, '', 1, 1, '{}' FROM generate_series(0, %(faces)s - 1) n",
    """INSERT INTO faces SELECT 'face-' || n, 'scan-' || n, n, 0, 0, 0, 0, '[]', 0, 0, 0,
    array_fill(0, ARRAY[128])::vector FROM generate_series(0, %(faces)s - 1) n""",
    """INSERT INTO all_assignments
    SELECT 'face-' || n, 'scan-' || n, n, 'face-' || n / 10, 'core', NULL, NULL, NULL, '[]'
    FROM generate_series(0, %(faces)s - 1) n""",
    "ANALYZE",
)


def pairs(faces: int, folder: Path) -> Iterator[Row]:
    """The memory of graphs with more and more pairs."""
    generator = np.random.default_rng(0)
    for each in _PAIRS:
        clustering = Clustering(Parameters())
        for first in range(0, faces, _BATCH):
            clustering.apply(
                [
                    _with_neighbours(number, np.unique(generator.integers(max(1, number), size=each)))
                    for number in range(first, min(first + _BATCH, faces))
                ]
            )
        held = clustering.graph.edges.used / faces
        to = folder / str(each)
        clustering_snapshot.save(clustering, to, 0)
        yield _loaded(f"the graph with {held:.1f} pairs a face; its memory a face", faces, to, clustering.parameters)


def _with_neighbours(number: int, others: npt.NDArray[np.int64]) -> NeighboursFound:
    others = others[others < number]
    found = FaceNeighbours(
        face_id=_face_id(number),
        score=1.0,
        quality=QUALITY,
        neighbours=tuple(_face_id(other) for other in others.tolist()),
        analyses=tuple(others.tolist()),
        # Beyond eps: the pairs are held, and there are no clusters.
        distances=(0.45,) * len(others),
    )
    return NeighboursFound(
        scan_id=_face_id(number).partition("#")[0],
        analysis=number,
        shard=0,
        shards=1,
        eps_max=1.0,
        published_at=PUBLISHED_AT,
        faces=(found,),
    )


def _face_id(number: int) -> str:
    return f"archive/box-{number // 100}/scan-{number}.jpg#0"


def _index_saved(index: FaceIndex, folder: Path) -> int:
    index_snapshot.save(index, folder, 0)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _scans(one: Set, first: int, end: int) -> list[Analysed]:
    return [analysed(number, one.vectors[number][None]) for number in range(first, end)]


def _loaded(what: str, faces: int, folder: Path, parameters: Parameters | IndexParameters) -> Row:
    """Load a snapshot in a process without any other state."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        seconds, processor, memory = pool.submit(_load, folder, parameters).result()
    return Row(what, faces, seconds, processor, memory / faces)


def _load(folder: Path, parameters: Parameters | IndexParameters) -> tuple[float, float, int]:
    before = resident()

    def load() -> object:
        if isinstance(parameters, Parameters):
            return clustering_snapshot.load(folder, parameters)
        return index_snapshot.load(folder, parameters)

    row, restored = timed("", 0, load)
    memory = resident() - before
    assert restored
    return row.seconds or 0.0, row.processor_s or 0.0, memory


def synthetic(faces: int) -> Set:
    """The faces of the benchmarks' archive; their people are not used."""
    vectors = np.concatenate([entry.vectors for entries in Archive(faces).batches(_BATCH) for entry in entries])
    return Set("synthetic", vectors, [f"face-{number}" for number in range(faces)], np.zeros(faces, dtype=np.int64))


def size_of_topic(folder: Path, topic: str) -> int:
    """Bytes of its records on the broker's disk."""
    return sum(file.stat().st_size for file in (folder / "kafka").rglob(f"{topic}-*/*.log"))


def _with(row: Row, each: float) -> Row:
    return Row(row.what, row.number, row.seconds, row.processor_s, each)


_IN_A_FOLDER: dict[str, Callable[[int, Path], Iterator[Row]]] = {
    "feed": feed,
    "start": start,
    "counts": counts_of,
    "pairs": pairs,
}


def rows(sections: list[str], faces: int, embeddings: Path | None) -> Iterator[Row]:
    """All measurements of the sections."""
    for section in sections:
        if section == "graph":
            yield from graph(load(embeddings) if embeddings else synthetic(faces))
        else:
            with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
                yield from _IN_A_FOLDER[section](faces, Path(folder))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--only", choices=_SECTIONS, help="one section")
    parser.add_argument("--set", type=Path, help="real embeddings, for the section graph")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    gc.set_threshold(100_000)  # as the consumers do (cli/consume.py)
    table = Table("what", "number", "seconds", "processor s", "each")
    for row in rows([arguments.only] if arguments.only else list(_SECTIONS), arguments.faces, arguments.set):
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        figures = (f"{value:,.3g}" if value is not None else "" for value in (row.seconds, row.processor_s, row.each))
        table.add_row(row.what, f"{row.number:,}", *figures)
    if not arguments.json:
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
