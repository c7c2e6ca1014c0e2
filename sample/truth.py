"""What is known to be on the scans of a sample, and how much of it a clustering got right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.base import Value
from schemas.scans import Box

_SAME_PLACE = 0.3
"""Intersection over union from which a found face is the one of the truth; both boxes are drawn generously."""


class TrueFace(Value):
    """A person on a scan, and the box of the face relative to the scan."""

    person: str
    box: Box


Truth = Mapping[str, tuple[TrueFace, ...]]
"""Scan to the people on it. A scan is its path below the sample's folder, with "#page=N" for a page of several."""

FoundFace = tuple[str, Box]
"""The scan's id (collection, "/", and the scan as in the truth) and the box of a face that was found."""


@dataclass(frozen=True)
class Score:
    """How a clustering compares with the truth.

    pure: faces found that are in a cluster with that person only. whole: people all of whose found faces are in one
    cluster. mixed: clusters with more than one person. strays: faces found where the truth has none; one of them in a
    cluster makes it no mixture.
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
    """Compare clusters (id to faces) with the truth. A face that was found twice counts once."""
    found: dict[tuple[str, int], str] = {}
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
            found[scan, number] = cluster_id
            people_in[cluster_id].add(truth[scan][number].person)
    clusters_of: dict[str, set[str]] = {face.person: set() for faces in truth.values() for face in faces}
    for (scan, number), cluster_id in found.items():
        clusters_of[truth[scan][number].person].add(cluster_id)
    return Score(
        faces=sum(len(faces) for faces in truth.values()),
        found=len(found),
        pure=sum(len(people_in[cluster_id]) == 1 for cluster_id in found.values()),
        people=len(clusters_of),
        whole=sum(len(cluster_ids) == 1 for cluster_ids in clusters_of.values()),
        mixed=sum(len(people) > 1 for people in people_in.values()),
        strays=strays,
    )


def _best_match(faces: tuple[TrueFace, ...], box: Box) -> int | None:
    overlaps = [face.box.overlap(box) for face in faces]
    if not overlaps or max(overlaps) < _SAME_PLACE:
        return None
    return overlaps.index(max(overlaps))
