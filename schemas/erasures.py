"""The `erasures` topic: what was erased, as keyed digests (erasure.digests), so that it is not found again.

A record holds no personal data: without the key nobody can see which faces, scans or decisions it is about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.base import Event, NewId, Time, Value, first_fault

KEPT_ONLY = "ce_keptonly"
"""CloudEvents attribute of a scan that was published again without changing anything but the faces to keep.

It was analysed already, so detect passes it by.
"""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class ErasureState(StrEnum):
    """How far an erasure has come.

    begun: from now on detect does not publish these faces. rewritten: the records of `scans`, `faces` and `labels` are
    without them; the index publishes neighbours without them, and its graph and snapshots lose them. settled: all
    consumers have read that; the clusterer's snapshots lose them.
    """

    BEGUN = "begun"
    REWRITTEN = "rewritten"
    SETTLED = "settled"


class ErasedScan(Value):
    """A scan on which something was erased: by its id, and by its picture. whole: all its faces, also future ones.

    places: of each erased face, for the scan's id and for the picture.
    """

    scan: Digest
    picture: Digest | None = None
    whole: bool = False
    places: Annotated[tuple[Digest, ...], first_fault, Field(max_length=100_000)] = ()


class FacesErased(Event):
    """An erasure. key_id: of the key that the digests were made with."""

    type: ClassVar[str] = "facestream.faces.erased.v1"

    erasure_id: NewId
    erased_at: Time
    state: ErasureState
    key_id: Digest
    scans: Annotated[tuple[ErasedScan, ...], first_fault] = ()
    faces: Annotated[tuple[Digest, ...], first_fault] = ()
    decisions: Annotated[tuple[Digest, ...], first_fault] = ()

    @property
    def key(self) -> str:
        """The erasure's id."""
        return self.erasure_id
