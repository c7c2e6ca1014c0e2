"""Which scan a face id belongs to: the first live one that has it. Every consumer decides so, each on its own state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence


def refused_claims(batch: Iterable[tuple[str, Sequence[str]]], owners: Mapping[str, str]) -> list[str | None]:
    """For each scan and its face ids, in the order of their topic: why it is refused, None where it is not.

    A face id that another live scan has is claimed wrongly: every decision about it would be about two faces. owners:
    the scan that each of these face ids belongs to before the batch, where it belongs to one. A scan with other faces
    than before, or none, no longer has those that it had.
    """
    owner = dict(owners)
    faces_of: defaultdict[str, set[str]] = defaultdict(set)
    for face_id, scan_id in owner.items():
        faces_of[scan_id].add(face_id)
    refusals: list[str | None] = []
    for scan_id, face_ids in batch:
        claimed = next((face_id for face_id in face_ids if owner.get(face_id, scan_id) != scan_id), None)
        if claimed is not None:
            refusals.append(f"face {claimed[:100]!r} belongs to another scan, {owner[claimed][:100]!r}")
            continue
        for face_id in faces_of.pop(scan_id, ()):
            del owner[face_id]
        owner.update(dict.fromkeys(face_ids, scan_id))
        faces_of[scan_id] = set(face_ids)
        refusals.append(None)
    return refusals
