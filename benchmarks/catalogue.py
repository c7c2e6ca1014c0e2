"""How fast the catalogue is written, and the speed and recall of its search, on the embedded PostgreSQL.

`python -m benchmarks.catalogue` writes scans of four faces with their assignments and cluster changes, as the consumer
does, and prints a row after each quarter of them. A batch holds 64 scans: 256 faces, 704 records. With `--refill` it
compares filling tables that have the vector index with building that at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from benchmarks.archive import DEFAULT_WORLD, Record, face, published, scan_analysed
from benchmarks.world import load as load_world
from catalogue import reader, vector_index
from catalogue.connection import connect
from catalogue.writer import write
from local.services import services
from schemas.clusters import Change, ClusterChanged, FaceAssigned, Role
from schemas.faces import ScanAnalysed
from settings import Settings

_SCANS_A_BATCH = 64
_FACES_A_SCAN = 4
_FACES_A_PERSON = 8
_SEARCHES = 100


@dataclass(frozen=True)
class Row:
    """The measurements when so many faces were written; times of a batch are of the last quarter."""

    faces: int
    faces_per_s: float
    batch_p50_ms: float
    batch_p99_ms: float
    similar_ms: float
    recall_at_10: float
    counts_ms: float
    clusters_ms: float
    mib: float


def embeddings(count: int) -> npt.NDArray[np.float32]:
    """Faces of the harder world, eight of each person: float32, shape (count, EMBEDDING_DIMENSIONS)."""
    return load_world(DEFAULT_WORLD).sample(np.arange(count) // _FACES_A_PERSON, seed=0)


def batches(vectors: npt.NDArray[np.float32]) -> Iterator[list[Record]]:
    """The records of all topics for these faces, in batches of 64 scans."""
    scans = len(vectors) // _FACES_A_SCAN
    for start in range(0, scans, _SCANS_A_BATCH):
        records: list[Record] = []
        for number in range(start, min(start + _SCANS_A_BATCH, scans)):
            scan_id = f"album/{number:08}.jpg"
            face_numbers = range(number * _FACES_A_SCAN, (number + 1) * _FACES_A_SCAN)
            faces = tuple(face(_face_id(face_number), vectors[face_number]) for face_number in face_numbers)
            records += [Record("scans", number % 8, number // 8, published(scan_id))]
            records += [Record("faces", 0, number, scan_analysed(scan_id, faces))]
            for face_number in face_numbers:
                oldest, faces_before = face_number - face_number % _FACES_A_PERSON, face_number % _FACES_A_PERSON
                assigned = FaceAssigned(
                    face_id=_face_id(face_number),
                    scan_id=scan_id,
                    analysis=number,
                    cluster_id=_face_id(oldest),
                    role=Role.CORE,
                )
                changed = ClusterChanged(cluster_id=_face_id(oldest), change=Change.GROWN, size=faces_before + 1)
                records += [Record("assignments", face_number % 4, face_number // 4, assigned)]
                records += [Record("clusters", 0, face_number, changed)]
        yield records


def _face_id(number: int) -> str:
    return f"{number:032x}"


def measure(connection: Connection, count: int) -> Iterator[Row]:
    """Write `count` faces; a row after each quarter."""
    vectors = embeddings(count)
    seconds: list[float] = []
    written = reported = 0
    for records in batches(vectors):
        positions = {(record.topic, record.partition): record.offset + 1 for record in records}
        began = time.perf_counter()
        write(connection, records, positions)
        seconds.append(time.perf_counter() - began)
        written += sum(len(record.message.faces) for record in records if isinstance(record.message, ScanAnalysed))
        if written * 4 // count > reported * 4 // count:
            speed = (written - reported) / sum(seconds)
            p50, p99 = np.percentile(seconds, [50, 99]) * 1000
            yield Row(written, speed, p50, p99, *_query(connection, vectors[:written]), _mib(connection))
            reported = written
            seconds = []


def refill(connection: Connection, count: int, *, index_last: bool) -> float:
    """Seconds in which `count` faces are written into empty tables, and the vector index is there."""
    vectors = embeddings(count)
    connection.execute(
        "TRUNCATE scans, kept_faces, analyses, faces, all_assignments, all_cluster_changes, offsets, row_counts"
    )
    began = time.perf_counter()
    vector_index.tend(connection, count if index_last else 0)
    for records in batches(vectors):
        write(connection, records, {(record.topic, record.partition): record.offset + 1 for record in records})
    vector_index.tend(connection, 0)
    return time.perf_counter() - began


def _query(connection: Connection, vectors: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Milliseconds of a search, its recall at 10, and milliseconds of `counts` and `clusters`."""
    seconds, correct = 0.0, 0
    for number in np.random.default_rng(1).integers(len(vectors), size=_SEARCHES):
        began = time.perf_counter()
        similar = reader.similar(connection, _face_id(number), 10)
        seconds += time.perf_counter() - began
        distances = np.linalg.norm(vectors - vectors[number], axis=1)
        distances[number] = np.inf
        nearest = {_face_id(other) for other in np.argpartition(distances, 10)[:10]}
        correct += len(nearest & {neighbour.face.face_id for neighbour in similar})
    began = time.perf_counter()
    reader.counts(connection)
    counted = time.perf_counter()
    reader.clusters(connection, limit=20)
    listed = time.perf_counter()
    return seconds / _SEARCHES * 1000, correct / (10 * _SEARCHES), (counted - began) * 1000, (listed - counted) * 1000


def _mib(connection: Connection) -> float:
    ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
    return float(size) / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000, help="how many faces to write (default: 100000)")
    parser.add_argument("--refill", action="store_true", help="seconds with the vector index, and building it last")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    table = Table(*(name.replace("_", " ") for name in Row.__dataclass_fields__), title="The catalogue")
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        settings = Settings(data=Path(folder))
        with services(settings, kafka=False, command="benchmark") as running, connect(running.database) as connection:
            if arguments.refill:
                for last in (False, True):
                    print(
                        f"index last: {last}, {refill(connection, arguments.faces, index_last=last):.1f} s", flush=True
                    )
                return
            for row in measure(connection, arguments.faces):
                if arguments.json:
                    print(json.dumps(asdict(row)), flush=True)
                table.add_row(*(f"{value:,.3f}" if value < 10 else f"{value:,.0f}" for value in asdict(row).values()))
    if not arguments.json:
        Console().print(table)


if __name__ == "__main__":
    main()
