"""The faces that a scan keeps when it is published again, so that their ids outlive the new analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import FACES
from settings import KafkaSettings
from stream.reading import latest_events


def with_faces(kafka: KafkaSettings, scans: Mapping[str, ScanPublished]) -> Iterator[ScanPublished]:
    """These scans, by scan id, with the faces to keep: id and box, as `faces` has them now. Reads all of `faces`."""

    def faces_of(analysed: ScanAnalysed) -> tuple[KeptFace, ...] | None:
        if analysed.scan_id not in scans:
            return None
        return tuple(KeptFace(face_id=face.face_id, box=face.box) for face in analysed.faces)

    analysed = latest_events(kafka, FACES, ScanAnalysed, faces_of)
    for scan_id, scan in scans.items():
        # What the last analysis was to keep but did not find may be found by the next.
        keep = {face.face_id: face for face in (*scan.keep, *analysed.get(scan_id, ()))}
        yield scan.model_copy(update={"keep": tuple(keep.values())})
