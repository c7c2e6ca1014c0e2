"""How fast the catalogue takes faces in, and how well it finds similar ones, on the embedded PostgreSQL.

`python -m benchmarks.catalogue` writes scans of four faces with their assignments and cluster changes, as the consumer
does, and prints a row for each quarter of the way. A batch holds 64 scans: 256 faces, 704 records.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from benchmarks.archive import Record, published
from catalogue import reader
from catalogue.connection import connect
from catalogue.writer import write
from local.services import services
from schemas.clusters import Change, ClusterChanged, FaceAssigned, Role
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box
from settings import Settings

_SCANS_A_BATCH = 64
_FACES_A_SCAN = 4
_FACES_A_PERSON = 8
_QUESTIONS = 100
_PROVENANCE = Provenance(engine="dlib", detector="d", landmarks="l", embedder="e", upsample=1, max_size=2000)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """What was measured on the way to this many faces; a batch's times are of the last quarter."""

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
    """Vectors spread like those of faces: float32, shape (count, 128), about 8 a person.

    The deviations along the principal axes, between people and within one, follow those of dlib's embeddings of
    5,325 photos of Labeled Faces in the Wild, which fill 96 of the 128 dimensions.
    """
    generator = np.random.default_rng(0)
    axis = np.arange(1, 97)
    people = generator.normal(size=(count // _FACES_A_PERSON + 1, 96)) * (0.18 * axis**-0.37)
    whose = generator.integers(len(people), size=count)
    vectors = np.zeros((count, 128), "<f4")
    vectors[:, :96] = people[whose] + generator.normal(size=(count, 96)) * (0.051 * (1 - axis / 120))
    return vectors


def batches(vectors: npt.NDArray[np.float32]) -> Iterator[list[Record]]:
    """The records about these faces, as the topics would bring them."""
    scans = len(vectors) // _FACES_A_SCAN
    for start in range(0, scans, _SCANS_A_BATCH):
        records: list[Record] = []
        for number in range(start, min(start + _SCANS_A_BATCH, scans)):
            scan_id = f"album/{number:08}.jpg"
            own = range(number * _FACES_A_SCAN, (number + 1) * _FACES_A_SCAN)
            faces = tuple(_face(f"{it:032x}", vectors[it]) for it in own)
            records += [Record("scans", number % 8, number // 8, published(scan_id))]
            records += [Record("faces", 0, number, _analysed(scan_id, faces))]
            for face, it in zip(faces, own, strict=True):
                cluster_id = f"{it // _FACES_A_PERSON * _FACES_A_PERSON:032x}"
                assigned = FaceAssigned(
                    face_id=face.face_id, scan_id=scan_id, analysis=number, cluster_id=cluster_id, role=Role.CORE
                )
                changed = ClusterChanged(cluster_id=cluster_id, change=Change.GROWN, size=it % _FACES_A_PERSON + 1)
                records += [Record("assignments", it % 4, it // 4, assigned), Record("clusters", 0, it, changed)]
        yield records


def _analysed(scan_id: str, faces: tuple[Face, ...]) -> ScanAnalysed:
    return ScanAnalysed(
        scan_id=scan_id,
        sha256="0" * 64,
        published_at=_NOW,
        width=4000,
        height=3000,
        provenance=_PROVENANCE,
        faces=faces,
    )


def _face(face_id: str, vector: npt.NDArray[np.float32]) -> Face:
    return Face(
        face_id=face_id,
        box=Box(left=0.1, top=0.1, right=0.2, bottom=0.2),
        landmarks=((0.12, 0.14), (0.14, 0.14), (0.18, 0.14), (0.16, 0.14), (0.15, 0.17)),
        score=1.0,
        quality=Quality(size_px=300, sharpness=200),
        embedding=vector.tobytes(),
    )


def measure(connection: Connection, count: int) -> Iterator[Row]:
    """Write `count` faces; a row at each quarter of the way."""
    vectors = embeddings(count)
    seconds: list[float] = []
    written = reported = 0
    for records in batches(vectors):
        positions = {(it.topic, it.partition): it.offset + 1 for it in records}
        began = time.perf_counter()
        write(connection, records, positions)
        seconds.append(time.perf_counter() - began)
        written += sum(len(it.message.faces) for it in records if isinstance(it.message, ScanAnalysed))
        if written * 4 // count > reported * 4 // count:
            speed = (written - reported) / sum(seconds)
            p50, p99 = np.percentile(seconds, [50, 99]) * 1000
            yield Row(written, speed, p50, p99, *_ask(connection, vectors[:written]), _mib(connection))
            reported = written
            seconds = []


def _ask(connection: Connection, vectors: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    asked = np.random.default_rng(1).integers(len(vectors), size=_QUESTIONS)
    seconds, right = 0.0, 0
    for of in asked:
        began = time.perf_counter()
        found = reader.similar(connection, f"{of:032x}", 10)
        seconds += time.perf_counter() - began
        distances = np.linalg.norm(vectors - vectors[of], axis=1)
        distances[of] = np.inf
        nearest = {f"{it:032x}" for it in np.argpartition(distances, 10)[:10]}
        right += len(nearest & {it.face.face_id for it in found})
    began = time.perf_counter()
    reader.counts(connection)
    counted = time.perf_counter()
    reader.clusters(connection, limit=20)
    listed = time.perf_counter()
    return seconds / _QUESTIONS * 1000, right / (10 * _QUESTIONS), (counted - began) * 1000, (listed - counted) * 1000


def _mib(connection: Connection) -> float:
    ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
    return float(size) / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000, help="how many faces to write (default: 100000)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    table = Table(*(name.replace("_", " ") for name in Row.__dataclass_fields__), title="The catalogue")
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        settings = Settings(data=Path(folder))
        with services(settings, kafka=False, command="benchmark") as running, connect(running.database) as connection:
            for row in measure(connection, arguments.faces):
                if arguments.json:
                    print(json.dumps(asdict(row)), flush=True)
                table.add_row(*(f"{value:,.3f}" if value < 10 else f"{value:,.0f}" for value in asdict(row).values()))
    if not arguments.json:
        Console().print(table)


if __name__ == "__main__":
    main()
