"""The people and faces on the scans of a sample, and how much of that truth a clustering found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.base import Value
from schemas.scans import Box

# A found face that overlaps a true one by this intersection over union or more is that face. It is low, since the boxes
# of the truth and those of the detector are both larger than a face.
_SAME_FACE_IOU = 0.3


class TrueFace(Value):
    """A person on a scan, and the box of the face relative to the scan."""

    person: str
    box: Box


Truth = Mapping[str, tuple[TrueFace, ...]]
"""The faces on each scan. A scan is its path below the sample's folder, with "#page=N" for one page of a file."""

FoundFace = tuple[str, Box]
"""The scan's id (collection, "/", and the scan as in the truth) and the box of a detected face."""


@dataclass(frozen=True)
class Score:
    """How a clustering compares with the truth; all fields are numbers.

    faces, people: in the truth. found: true faces that were detected. pure: found faces in a cluster of that person
    only. whole: people whose found faces are all in one cluster. mixed: clusters of more than one person. strays:
    detected faces that are not in the truth; they do not make a cluster mixed.
    """

    faces: int
    found: int
    pure: int
    people: int
    whole: int
    mixed: int
    strays: int

    def __str__(self) -> str:
        return (
            f"{self.found} of {self.faces} faces found, {self.whole} of {self.people} people each in one cluster, "
            f"{self.mixed} mixed clusters"
        )


def score(truth: Truth, clusters: Mapping[str, Iterable[FoundFace]]) -> Score:
    """Compare clusters (id to faces) with the truth. A true face that was detected twice counts once."""
    cluster_of: dict[tuple[str, int], str] = {}  # by scan and number of the true face
    people_in: dict[str, set[str]] = {}
    strays = 0
    for cluster_id, faces in clusters.items():
        people_in[cluster_id] = set()
        for scan_id, box in faces:
            scan = scan_id.partition("/")[2]
            number = _best_match(truth.get(scan, ()), box)
            if number is None:
                strays += 1
                continue
            cluster_of[scan, number] = cluster_id
            people_in[cluster_id].add(truth[scan][number].person)
    clusters_of: dict[str, set[str]] = {face.person: set() for faces in truth.values() for face in faces}
    for (scan, number), cluster_id in cluster_of.items():
        clusters_of[truth[scan][number].person].add(cluster_id)
    return Score(
        faces=sum(len(faces) for faces in truth.values()),
        found=len(cluster_of),
        pure=sum(len(people_in[cluster_id]) == 1 for cluster_id in cluster_of.values()),
        people=len(clusters_of),
        whole=sum(len(cluster_ids) == 1 for cluster_ids in clusters_of.values()),
        mixed=sum(len(people) > 1 for people in people_in.values()),
        strays=strays,
    )


def _best_match(faces: tuple[TrueFace, ...], box: Box) -> int | None:
    overlaps = [face.box.overlap(box) for face in faces]
    if not overlaps or max(overlaps) < _SAME_FACE_IOU:
        return None
    return overlaps.index(max(overlaps))
