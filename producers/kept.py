"""The faces that a scan keeps when it is published again, so that their ids outlive the new analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import FACES, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end


def with_faces(kafka: KafkaSettings, scans: Mapping[str, ScanPublished]) -> Iterator[ScanPublished]:
    """These scans, by scan id, with the faces to keep: id and box, as `faces` has them now. Reads all of `faces`."""
    found: dict[str, tuple[KeptFace, ...]] = {}
    for received in read_to_end(kafka, FACES):
        analysed = received.message
        if isinstance(analysed, ScanAnalysed) and analysed.scan_id in scans:
            found[analysed.scan_id] = tuple(KeptFace(face_id=it.face_id, box=it.box) for it in analysed.faces)
        elif isinstance(analysed, Tombstone):
            found.pop(analysed.key, None)
    for scan_id, scan in scans.items():
        # What the last analysis was to keep but did not find may be found by the next.
        keep = {face.face_id: face for face in (*scan.keep, *found.get(scan_id, ()))}
        yield scan.model_copy(update={"keep": tuple(keep.values())})
