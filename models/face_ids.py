"""The ids of the faces of an analysis: kept from an earlier analysis where a face is found again, else new."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from models.protocols import Detection
from schemas.scans import Box, KeptFace, ScanPublished

# A detection that overlaps a kept face by this intersection over union or more is the same face.
_SAME_FACE_IOU = 0.5


def face_ids(scan: ScanPublished, detections: Sequence[Detection], boxes: Sequence[Box]) -> list[str]:
    """The id of each detection, in their order. `boxes` are the same detections, relative to the scan.

    A detection takes the id of the kept face (`scan.keep`) that it overlaps, the best overlaps first; each kept id is
    given at most once. Every other id is a digest of the scan's id and the rectangle in pixels, so that analysing the
    same scan twice yields the same ids. A new id is never equal to a kept one, used or not.
    """
    kept = _kept_ids(scan.keep, boxes)
    taken = {face.face_id for face in scan.keep}
    ids = []
    for number, detection in enumerate(detections):
        face_id = kept.get(number) or _new_id(scan.scan_id, detection, taken)
        taken.add(face_id)
        ids.append(face_id)
    return ids


def _kept_ids(keep: Sequence[KeptFace], boxes: Sequence[Box]) -> dict[int, str]:
    """The kept id by the number of the box that takes it: greedy matching by descending overlap."""
    overlaps = sorted(
        (-box.overlap(face.box), face.face_id, number) for number, box in enumerate(boxes) for face in keep
    )
    kept: dict[int, str] = {}
    for negative_overlap, face_id, number in overlaps:
        if -negative_overlap >= _SAME_FACE_IOU and number not in kept and face_id not in kept.values():
            kept[number] = face_id
    return kept


def _new_id(scan_id: str, face: Detection, taken: set[str]) -> str:
    """80 bits of a sha256 as 20 hexadecimal digits; the text gets a suffix until its id is free."""
    text = f"{scan_id}\n{face.left},{face.top},{face.right},{face.bottom}"
    while (face_id := hashlib.sha256(text.encode()).hexdigest()[:20]) in taken:
        text += "'"
    return face_id
