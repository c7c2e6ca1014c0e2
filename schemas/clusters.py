"""The `assignments` topic (where each face belongs now) and the `clusters` topic (what happened to clusters)."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from schemas.base import Event, Value


class Role(StrEnum):
    """A face's part in its cluster (Ester et al. 1996, definitions 2 to 6)."""

    CORE = "core"
    BORDER = "border"
    NOISE = "noise"


class Suggestion(Value):
    """One name of a face's distribution, with its probability."""

    label_id: str
    probability: float = Field(ge=0, le=1)


class FaceAssigned(Event):
    """Where a face belongs. `cluster_id` is the id of the cluster's oldest face; noise has none. Tombstone: gone."""

    type: ClassVar[str] = "facestream.face.assigned.v1"

    face_id: str
    scan_id: str
    analysis: int
    cluster_id: str | None
    role: Role
    hard_label: str | None = None
    soft_label: Suggestion | None = None
    distribution: tuple[Suggestion, ...] = ()

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
    """One line of the change log of clusters.

    created, grown, shrunk: `size` is the new number of faces. merged: this id gave way to `successor`, the id of the
    older face that is now in the cluster. split: this cluster fell into `parts` (its own id among them if it lives
    on). retired: its oldest face, which it was named after, is gone; what is left, if anything, goes on as `successor`.
    """

    type: ClassVar[str] = "facestream.cluster.changed.v1"

    cluster_id: str
    change: Change
    size: int = Field(ge=0)
    successor: str | None = None
    parts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The cluster's id."""
        return self.cluster_id
