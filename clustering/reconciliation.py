"""What leads from published assignments to those of a clustering: after other parameters, and after a killed process.

Published assignments are compared as bytes while they are read, and only those that differ are kept and decoded: so a
start holds what it has to publish, not all that is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from clustering.changes import Delta
from clustering.cluster_changes import Moves, Place
from clustering.clustering import Clustering
from clustering.columns.arrays import Mask
from schemas.clusters import ClusterChanged, FaceAssigned, Role
from schemas.codec import encoded

# Of faces that are not live; in microseconds since 1970.
_UNKNOWN_TIME = 2**63

_COMPARED_AT_ONCE = 1000


class Expected:
    """What the values of `assignments` are by a clustering, to compare published ones with: 9 bytes a node.

    same: by node, whether the value of its face that was compared last is the expected one.
    """

    def __init__(self, clustering: Clustering) -> None:
        """Cost: every assignment is made and encoded. The clustering must not change until all is compared."""
        self._graph = clustering.graph
        live = clustering.live_nodes()
        values = map(encoded, clustering.assignments())
        self._digests = np.zeros(self._graph.nodes.used, dtype=np.int64)
        self._digests[live] = np.fromiter(map(hash, values), np.int64, len(live))
        self.same: Mask = np.zeros(self._graph.nodes.used, dtype=np.bool_)

    def different(self, entries: Iterable[tuple[str, bytes | None]]) -> Iterator[tuple[str, bytes | None]]:
        """Face ids and published values (None: a tombstone) in their order, with None instead of expected values."""
        iterator = iter(entries)
        while batch := list(islice(iterator, _COMPARED_AT_ONCE)):
            live = self._graph.node_index.live(face_id for face_id, _ in batch)
            for face_id, value in batch:
                node = live.get(face_id)
                if node is not None:
                    # Digests of 64 bits, of values of one face: that two of them agree by chance is not to be expected.
                    self.same[node] = value is not None and hash(value) == self._digests[node]
                yield face_id, None if node is not None and self.same[node] else value


@dataclass(frozen=True)
class Published:
    """What was published, by face id.

    values: the latest values of `assignments`, without faces that have a tombstone or whose value is the expected one.
    same: by node, whether it is that (`Expected`). former: where the faces that an
    unfinished delta has published were before it, None for no assignment. logged: how many of its cluster changes are
    published; where there are any, all its assignments are published too.
    """

    values: dict[str, bytes]
    same: Mask
    former: Mapping[str, Place | None] = field(default_factory=dict)
    logged: int = 0


class _Face(NamedTuple):
    """A face whose published assignment differs from the present one, or that an unfinished delta has published.

    published, present: its places. assignment: the present one where it has to be published.
    """

    face_id: str
    published_at: int
    published: Place | None
    present: Place | None
    assignment: FaceAssigned | None


def reconcile(clustering: Clustering, published: Published) -> Iterator[Delta]:
    """The deltas that lead from what was published to the clustering, in the order in which they are to be published.

    The first one completes the unfinished delta, if there was one; each may be empty. Empties `published.values`.
    Cost: a pass over all faces; memory is needed for those that differ.
    """
    faces, steady = _compared(clustering, published)
    sizes = clustering.sizes()
    if published.logged:
        # Its assignments are published, so the rest of its changes follows from them, whatever the clustering is now.
        remaining = _moves(faces, {})
        yield Delta(tuple(_unlogged(faces, steady, published, remaining.undone(sizes))))
        published = Published({}, published.same)
    moves = _moves(faces, published.former)
    changes = moves.changes(*moves.sizes(sizes), steady.__contains__)
    yield Delta(
        tuple(changes),
        tuple(sorted((face.assignment for face in faces if face.assignment), key=lambda face: face.face_id)),
        tuple(sorted(face.face_id for face in faces if face.present is None and face.published is not None)),
        {
            face.face_id: former
            for face in faces
            if (former := published.former.get(face.face_id, face.published)) is not None
        },
    )


def _compared(clustering: Clustering, published: Published) -> tuple[list[_Face], set[str]]:
    """All faces that matter, and the clusters with a core among the others."""
    faces: list[_Face] = []
    steady: set[str] = set()
    values, unseen = published.values, dict(published.former)
    live = clustering.live_nodes()
    ages = clustering.graph.nodes.published_at[live].tolist()
    same = published.same[live].tolist()
    for assignment, published_at, is_same in zip(clustering.assignments(), ages, same, strict=True):
        value = values.pop(assignment.face_id, None)
        differs = not is_same
        if differs or assignment.face_id in unseen:
            present = Place(assignment.cluster_id, assignment.role)
            place = _place(value) if differs else present
            faces.append(_Face(assignment.face_id, published_at, place, present, assignment if differs else None))
            unseen.pop(assignment.face_id, None)
        elif assignment.cluster_id is not None and assignment.role is Role.CORE:
            steady.add(assignment.cluster_id)
    while values:
        face_id, value = values.popitem()
        faces.append(_Face(face_id, _UNKNOWN_TIME, _place(value), None, None))
        unseen.pop(face_id, None)
    faces += [_Face(face_id, _UNKNOWN_TIME, None, None, None) for face_id in unseen]
    return faces, steady


def _unlogged(
    faces: Iterable[_Face], steady: set[str], published: Published, sizes: Mapping[str, int]
) -> list[ClusterChanged]:
    """The changes of the unfinished delta that are not published yet. `sizes`: by the published assignments."""
    moves, keep_core = Moves(), set(steady)
    for face in faces:
        if face.face_id in published.former:
            moves.add(face.face_id, face.published_at, published.former[face.face_id], face.published)
        elif face.published is not None and face.published.cluster_id and face.published.role is Role.CORE:
            keep_core.add(face.published.cluster_id)
    return list(moves.changes(*moves.sizes(sizes), keep_core.__contains__))[published.logged :]


def _moves(faces: Iterable[_Face], former: Mapping[str, Place | None]) -> Moves:
    """From the published places, or those before an unfinished delta, to the present ones."""
    moves = Moves()
    for face in faces:
        moves.add(face.face_id, face.published_at, former.get(face.face_id, face.published), face.present)
    return moves


def _place(value: bytes | None) -> Place | None:
    """The place in the value of a record of `assignments`; None where there is none that can be read."""
    if value is None:
        return None
    try:
        assignment = FaceAssigned.model_validate_json(value)
    except ValidationError:
        return None
    return Place(assignment.cluster_id, assignment.role)
