"""The ids of the faces of an analysis: kept from an earlier analysis where a face is found again, else new."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.descriptions import DLIB_SPACE, Space
from models.protocols import Detection
from schemas.scans import Box, KeptFace, ScanPublished

# A detection that overlaps a kept face by this intersection over union or more is at the same place.
_SAME_PLACE_IOU = 0.5


def face_ids(
    scan: ScanPublished,
    detections: Sequence[Detection],
    boxes: Sequence[Box],
    embeddings: Sequence[npt.NDArray[np.float32]] = (),
    space: Space = DLIB_SPACE,
) -> list[str]:
    """The id of each detection, in their order.

    `boxes` are the same detections, relative to the scan. `embeddings` are theirs (float32, shape (dimensions,) each),
    in `space`.

    A detection takes the id of a kept face (`scan.keep`) whose box it overlaps. Where the scan's picture is another one
    than that on which the kept face was found, their embeddings must agree as well. Kept faces that the latest analysis
    found come before those that it did not find; among them the best overlaps come first; each kept id is given at most
    once. Every other id is a digest of the scan's id and the rectangle in pixels, so that analysing the same scan twice
    yields the same ids. A new id is never equal to a kept one, used or not.
    """
    kept = _kept_ids(scan, boxes, embeddings, space)
    taken = {face.face_id for face in scan.keep}
    ids = []
    for number, detection in enumerate(detections):
        face_id = kept.get(number) or _new_id(scan.scan_id, detection, taken)
        taken.add(face_id)
        ids.append(face_id)
    return ids


def _kept_ids(
    scan: ScanPublished, boxes: Sequence[Box], embeddings: Sequence[npt.NDArray[np.float32]], space: Space
) -> dict[int, str]:
    """The kept id by the number of the box that takes it: greedy matching, live faces first, by descending overlap."""
    overlaps: list[tuple[bool, float, str, int]] = []
    for face in scan.keep:
        same_picture = face.sha256 is None or (face.sha256, face.page) == (scan.sha256, scan.page)
        for number, box in enumerate(boxes):
            overlap = box.overlap(face.box)
            if overlap >= _SAME_PLACE_IOU and (
                same_picture or (embeddings and _agree(face, embeddings[number], space))
            ):
                overlaps.append((not face.live, -overlap, face.face_id, number))
    kept: dict[int, str] = {}
    for _, _, face_id, number in sorted(overlaps):
        if number not in kept and face_id not in kept.values():
            kept[number] = face_id
    return kept


def _agree(face: KeptFace, embedding: npt.NDArray[np.float32], space: Space) -> bool:
    """Whether a kept face and a detection look alike: the clustering would take them for one person, unless it is set
    otherwise. Embeddings of different networks cannot be compared."""
    if face.embedding is None or face.embedder != space.embedder:
        return False
    kept = np.frombuffer(face.embedding, dtype="<f4")
    if kept.shape != embedding.shape:
        return False
    return float(np.linalg.norm(kept - embedding)) <= space.eps


def _new_id(scan_id: str, face: Detection, taken: set[str]) -> str:
    """80 bits of a sha256 as 20 hexadecimal digits; the text gets a suffix until its id is free."""
    text = f"{scan_id}\n{face.left},{face.top},{face.right},{face.bottom}"
    while (face_id := hashlib.sha256(text.encode()).hexdigest()[:20]) in taken:
        text += "'"
    return face_id
