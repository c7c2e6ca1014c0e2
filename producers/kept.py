"""The faces that a scan keeps when it is published again, so that their ids outlive the new analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from producers.topic_index import Remembered, TopicIndex
from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import FACES
from settings import KafkaSettings


def with_faces(
    kafka: KafkaSettings,
    scans: Mapping[str, ScanPublished],
    earlier: Mapping[str, ScanPublished],
    folder: Path | None = None,
    analysed_otherwise: str | None = None,
) -> Iterator[ScanPublished]:
    """These scans, by scan id, with the faces to keep, as `faces` has them now.

    analysed_otherwise: without those whose latest analysis is by this embedder.

    `earlier` has the same scans as they were published before. Their analyses are found by an index in the data folder
    `folder`; without one, all of `faces` is read.
    """
    with TopicIndex(kafka, FACES, Remembered(ScanAnalysed, {}), folder) as index:
        analyses = index.latest(scans)
    for scan_id, scan in scans.items():
        if scan_id in analyses and analyses[scan_id].provenance.embedder == analysed_otherwise:
            continue
        live = _live(analyses[scan_id], earlier) if scan_id in analyses else ()
        ids = {face.face_id for face in live}
        # What the last analysis was to keep but did not find may be found by the next.
        not_found = [face for face in _kept(earlier.get(scan_id)) if face.face_id not in ids]
        yield scan.model_copy(update={"keep": (*live, *not_found)})


def _live(analysed: ScanAnalysed, earlier: Mapping[str, ScanPublished]) -> tuple[KeptFace, ...]:
    """The faces of a scan's latest analysis, with the picture on which they were found."""
    scan = earlier.get(analysed.scan_id)
    return tuple(
        KeptFace(
            face_id=face.face_id,
            box=face.box,
            sha256=analysed.sha256,
            page=scan.page if scan else None,
            embedding=face.embedding,
            embedder=analysed.provenance.embedder,
        )
        for face in {face.face_id: face for face in analysed.faces}.values()
    )


def _kept(earlier: ScanPublished | None) -> Iterator[KeptFace]:
    """The faces that a scan was to keep before, as not found."""
    for face in earlier.keep if earlier else ():
        # Records of earlier versions do not name the picture. At the latest it is the one that they were kept for.
        picture = {} if earlier is None or face.sha256 else {"sha256": earlier.sha256, "page": earlier.page}
        yield face.model_copy(update={"live": False, **picture})
