"""The `assignments` topic (where each face belongs now) and the `clusters` topic (what happened to clusters)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.base import Event, Id, Offset, Value, first_fault


class Role(StrEnum):
    """What a face is to DBSCAN (Ester et al. 1996, definitions 2 to 6)."""

    CORE = "core"
    BORDER = "border"
    NOISE = "noise"


class Suggestion(Value):
    """A person that a face may be, with the probability."""

    label_id: Id
    probability: float = Field(ge=0, le=1)


class FaceAssigned(Event):
    """Which cluster a live face is in, and its labels. A tombstone: the face is no longer live.

    cluster_id: the id of the cluster's oldest face; None for noise. hard_label: the person that an archivist named.
    soft_label: the most probable person, if there is no hard label. distribution: the most probable people, best first.
    """

    type: ClassVar[str] = "facestream.face.assigned.v1"

    face_id: Id
    scan_id: Id
    analysis: Offset
    cluster_id: Id | None
    role: Role
    hard_label: Id | None = None
    soft_label: Suggestion | None = None
    distribution: Annotated[tuple[Suggestion, ...], first_fault, Field(max_length=100_000)] = ()

    @property
    def key(self) -> str:
        """The face's id."""
        return self.face_id


class Change(StrEnum):
    """What happened to a cluster."""

    CREATED = "created"
    GROWN = "grown"
    SHRUNK = "shrunk"
    MERGED = "merged"
    SPLIT = "split"
    RETIRED = "retired"


class ClusterChanged(Event):
    """A change of one cluster.

    created, grown, shrunk: `size` is the new number of faces. merged: this id was superseded by `successor`, the id of
    the older face that is now in the cluster. split: this cluster fell apart into `parts` (with its own id if that
    continues). retired: its oldest face, which it was called after, is no longer in it; `successor` continues the
    cluster, if any of its faces are left.
    """

    type: ClassVar[str] = "facestream.cluster.changed.v1"

    cluster_id: Id
    change: Change
    size: Offset
    successor: Id | None = None
    parts: Annotated[tuple[Id, ...], first_fault] = ()

    @property
    def key(self) -> str:
        """The cluster's id."""
        return self.cluster_id
