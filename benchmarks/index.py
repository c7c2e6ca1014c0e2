"""How fast the index takes faces in and finds their neighbours, what it misses, what it weighs and how it restarts.

`python -m benchmarks.index --faces 100000` prints a row for each tenfold on the way and for what is done at the end.
It is the index alone: no Kafka, and neither decoding nor encoding of records. `--json` prints a line a row.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from index import snapshot
from index.audit import audit
from index.face_index import FaceIndex
from index.log import Analysed, Withdrawn
from index.parameters import DIMENSIONS, Parameters
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import Box

_FACES_A_SCAN = 2
_LARGEST_PERSON = 500
_AUDITED_SCANS = 1_000
_SINGLE_FACES = 500
_WITHDRAWN_SCANS = 500
_RESTORED_SCANS = 1_000
_PROVENANCE = Provenance(engine="dlib", detector="d", landmarks="l", embedder="e", upsample=1, max_size=2000)
_THEN = datetime(1918, 2, 24, tzinfo=UTC)
_BOX = Box(left=0.1, top=0.1, right=0.2, bottom=0.2)
_QUALITY = Quality(size_px=80, sharpness=50)


@dataclass(frozen=True)
class Row:
    """One measurement. Rates are averages over `faces`; times of a batch are of the last tenth of an insertion.

    cpu_seconds: of all threads together. It tells more than `seconds` where others use the machine too.
    """

    what: str
    faces: int
    seconds: float
    cpu_seconds: float
    faces_per_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    bytes_per_face: float | None = None
    recall: float | None = None
    neighbours_per_face: float | None = None


class Stopwatch:
    """The time of each `with`, and what all of them took of the processors."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.times: list[float] = []
        self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        """Begin."""
        self._started, self._cpu_started = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        """Take the time."""
        self.times.append(time.perf_counter() - self._started)
        self.cpu_seconds += time.process_time() - self._cpu_started


class Archive:
    """Faces with the statistics of dlib's embeddings of Labeled Faces in the Wild, in batches.

    Faces vary in 80 of 128 dimensions. Along the principal axes the variances between people fall off with the power
    -0.7 (in all 0.31), those of one person's faces exponentially over 45 axes (in all 0.11), so that two faces of a
    person are 0.46 apart. The number of faces of a person follows Zipf's law with exponent 2, from 1 to 500; the
    faces of a person come at random times.
    """

    def __init__(self, faces: int, seed: int = 0) -> None:
        """`faces` in all."""
        generator = np.random.default_rng(seed)
        sizes = np.arange(1, _LARGEST_PERSON + 1)
        share = 1 / sizes**2.0
        people = generator.choice(sizes, p=share / share.sum(), size=faces)
        self._seed = seed
        self._whose = generator.permutation(np.repeat(np.arange(len(people)), people)[:faces])
        axis = np.arange(DIMENSIONS)
        between = np.where(axis < 80, 0.032 * (1 + axis) ** -0.7, 0)
        self._within = np.sqrt(np.where(axis < 80, 0.0029 * np.exp(-axis / 45), 0))
        centres = generator.normal(size=(int(self._whose.max()) + 1, DIMENSIONS)) * np.sqrt(between)
        centres[:, -1] = 1.27  # all embeddings lie far from the origin, which costs digits
        self._centres = centres.astype(np.float32)

    def batches(self, faces: int) -> Iterator[list[Analysed]]:
        """All of them in the order of the log, the same each time, `faces` a batch."""
        for start in range(0, len(self._whose), faces):
            yield self._scans(start, self._vectors(start, min(start + faces, len(self._whose))))

    def _vectors(self, start: int, end: int) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng((self._seed, start))
        noise = generator.normal(size=(end - start, DIMENSIONS)) * self._within
        vectors: npt.NDArray[np.float32] = self._centres[self._whose[start:end]] + noise.astype(np.float32)
        return vectors

    @staticmethod
    def _scans(start: int, vectors: npt.NDArray[np.float32]) -> list[Analysed]:
        return [
            analysed((start + row) // _FACES_A_SCAN, vectors[row : row + _FACES_A_SCAN])
            for row in range(0, len(vectors), _FACES_A_SCAN)
        ]


def analysed(number: int, vectors: npt.NDArray[np.float32]) -> Analysed:
    """The scan of this number with these faces."""
    scan_id = f"archive/box-{number // 100}/scan-{number}.jpg"
    return Analysed(
        number,
        ScanAnalysed(
            scan_id=scan_id,
            sha256="0" * 64,
            published_at=_THEN,
            width=3000,
            height=2000,
            provenance=_PROVENANCE,
            faces=tuple(
                Face(
                    face_id=f"{scan_id}#{place}",
                    box=_BOX,
                    landmarks=(),
                    score=1.0,
                    quality=_QUALITY,
                    embedding=vector.tobytes(),
                )
                for place, vector in enumerate(vectors)
            ),
        ),
    )


def measure(faces: int, batch: int, parameters: Parameters, folder: Path) -> Iterator[Row]:
    """All rows for an archive of this size."""
    archive = Archive(faces)
    gc.collect()
    before = psutil.Process().memory_info().rss
    index = FaceIndex(parameters)
    sample: list[tuple[Analysed, NeighboursFound]] = []
    yield from _insert(index, archive, faces, batch, before, sample)
    yield _audit(index, sample)
    yield _single_faces(index, faces)
    yield _withdraw(index, [entry for entry, _ in sample[:_WITHDRAWN_SCANS]])
    with (watch := Stopwatch()):
        path = snapshot.save(index, folder, offset=faces)
    size = sum(file.stat().st_size for file in path.iterdir())
    yield _row("save snapshot", index.faces, watch, bytes_per_face=size / index.faces)
    del index
    gc.collect()
    with (watch := Stopwatch()):
        restored = snapshot.load(folder, parameters).index
    yield _row("load snapshot", restored.faces, watch)
    del restored
    gc.collect()
    yield _restore(archive, faces, parameters)


def _insert(
    index: FaceIndex,
    archive: Archive,
    faces: int,
    batch: int,
    before: int,
    sample: list[tuple[Analysed, NeighboursFound]],
) -> Iterator[Row]:
    generator = np.random.default_rng(1)
    watch = Stopwatch()
    done = said = 0
    mark = min(1_000, faces)
    for entries in archive.batches(batch):
        with watch:
            records = index.apply(entries)
        done += sum(len(entry.scan.faces) for entry in entries)
        found = [record for record in records if isinstance(record, NeighboursFound)]
        said += sum(len(face.neighbours) for record in found for face in record.faces)
        keep = generator.random(len(entries)) < _AUDITED_SCANS * _FACES_A_SCAN / faces
        sample.extend((entry, record) for entry, record, kept in zip(entries, found, keep, strict=True) if kept)
        if done >= mark:
            gc.collect()
            yield _row(
                f"insert, {batch} at once",
                done,
                watch,
                last=max(len(watch.times) // 10, 10),
                bytes_per_face=(psutil.Process().memory_info().rss - before) / done,
                neighbours_per_face=2 * said / done,
            )
            mark = min(10 * mark, faces)


def _audit(index: FaceIndex, sample: list[tuple[Analysed, NeighboursFound]]) -> Row:
    entries = [entry for entry, _ in sample]
    with (watch := Stopwatch()):
        result = audit(index, entries, [record for _, record in sample])
    audited = sum(len(entry.scan.faces) for entry in entries)
    return _row(f"audit among {index.faces}", audited, watch, recall=result.recall)


def _single_faces(index: FaceIndex, faces: int) -> Row:
    vectors = np.concatenate([entry.vectors for entry in next(Archive(faces).batches(_SINGLE_FACES))])
    vectors += np.random.default_rng(2).normal(scale=0.01, size=vectors.shape).astype(np.float32)
    watch = Stopwatch()
    for row, vector in enumerate(vectors):
        entry = analysed(faces + row, vector[None])
        with watch:
            index.apply([entry])
    return _row(f"insert, 1 at once, to {index.faces}", len(vectors), watch, last=len(vectors))


def _withdraw(index: FaceIndex, entries: list[Analysed]) -> Row:
    watch = Stopwatch()
    for entry in entries:
        with watch:
            index.apply([Withdrawn(entry.scan_id)])
    return _row(f"withdraw, {_FACES_A_SCAN} at once", _FACES_A_SCAN * len(entries), watch, last=len(entries))


def _restore(archive: Archive, faces: int, parameters: Parameters) -> Row:
    index = FaceIndex(parameters)
    watch = Stopwatch()
    for entries in archive.batches(_FACES_A_SCAN * _RESTORED_SCANS):
        with watch:
            index.apply(entries, search=False)
    return _row("read log, decoded", faces, watch)


def _row(
    what: str,
    faces: int,
    watch: Stopwatch,
    *,
    last: int = 0,
    bytes_per_face: float | None = None,
    recall: float | None = None,
    neighbours_per_face: float | None = None,
) -> Row:
    """`last`: of so many times, the percentiles."""
    p50, p99 = (1_000 * np.percentile(watch.times[-last:], [50, 99])).tolist() if last else (None, None)
    seconds = sum(watch.times)
    return Row(
        what, faces, seconds, watch.cpu_seconds, faces / seconds, p50, p99, bytes_per_face, recall, neighbours_per_face
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=256, help="faces a batch (256)")
    parser.add_argument("--threads", type=int, default=2, help="of HNSW (2)")
    parser.add_argument("--ef", type=int, default=Parameters.ef, help=f"candidates of a search ({Parameters.ef})")
    parser.add_argument("--quick", action="store_true", help="20,000 faces")
    parser.add_argument("--json", action="store_true", help="a line a row")
    arguments = parser.parse_args()
    faces = 20_000 if arguments.quick else arguments.faces
    parameters = Parameters(threads=arguments.threads, ef=arguments.ef)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(faces, arguments.batch, parameters, Path(folder))
        if arguments.json:
            for row in rows:
                print(json.dumps(asdict(row)), flush=True)
        else:
            _print(rows)


def _print(rows: Iterator[Row]) -> None:
    names = [field.name for field in fields(Row)]
    print(f"{names[0]:30}" + "".join(f"{name:>21}" for name in names[1:]))
    for row in rows:
        what, *values = asdict(row).values()
        print(f"{what:30}" + "".join(f"{'' if value is None else f'{value:,.5g}':>21}" for value in values), flush=True)


if __name__ == "__main__":
    main()
