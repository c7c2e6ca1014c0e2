"""Which face is which: the ids of the faces of an analysis, kept from an earlier one where a face is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from models.protocols import Detection
from schemas.scans import Box, KeptFace, ScanPublished

# Intersection over union from which a face that is found again is the same face.
_SAME_FACE_IOU = 0.5


def face_ids(scan: ScanPublished, found: Sequence[Detection], boxes: Sequence[Box]) -> list[str]:
    """The id of each detection, in their order; `boxes` are the detections relative to the scan.

    A face found again, by the faces to keep of `scan`, keeps its id, best overlap first. Another's id is made from the
    scan's id and its box, so that the same analysis twice gives the same ids.
    """
    kept = _kept(scan.keep, boxes)
    taken = {face.face_id for face in scan.keep}
    ids = []
    for number, face in enumerate(found):
        face_id = kept.get(number) or _new_id(scan.scan_id, face, taken)
        taken.add(face_id)
        ids.append(face_id)
    return ids


def _kept(keep: Sequence[KeptFace], boxes: Sequence[Box]) -> dict[int, str]:
    overlaps = sorted(
        (-box.overlap(face.box), face.face_id, number) for number, box in enumerate(boxes) for face in keep
    )
    kept: dict[int, str] = {}
    for overlap, face_id, number in overlaps:
        if -overlap >= _SAME_FACE_IOU and number not in kept and face_id not in kept.values():
            kept[number] = face_id
    return kept


def _new_id(scan_id: str, face: Detection, taken: set[str]) -> str:
    text = f"{scan_id}\n{face.left},{face.top},{face.right},{face.bottom}"
    while (face_id := hashlib.sha256(text.encode()).hexdigest()[:20]) in taken:
        text += "'"
    return face_id
