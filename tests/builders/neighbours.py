"""Records of `neighbours`, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from clustering.clustering import NeighboursWithdrawn
from schemas.faces import Quality
from schemas.neighbours import FaceNeighbours, NeighboursFound

Edge = tuple[str, int, float]
"""Face id, analysis, distance."""
Held = dict[tuple[str, int], NeighboursFound]
"""The latest record of each scan and shard."""
IndexMessage = NeighboursFound | NeighboursWithdrawn
"""What an index publishes for the clustering."""

GOOD = Quality(size_px=100.0, sharpness=100.0)
BLURRED = Quality(size_px=100.0, sharpness=1.0)
EPS_MAX = 8.0


def record(
    scan_id: str,
    analysis: int,
    faces: Mapping[str, Sequence[Edge]],
    *,
    minute: int | None = None,
    shard: int = 0,
    shards: int = 4,
    blurred: Iterable[str] = (),
    eps_max: float = EPS_MAX,
) -> NeighboursFound:
    """A record of `neighbours`: for each face its edges. Published at `minute`, else in the order of analyses."""
    blurred = set(blurred)
    return NeighboursFound(
        scan_id=scan_id,
        analysis=analysis,
        shard=shard,
        shards=shards,
        eps_max=eps_max,
        published_at=datetime(1918, 11, 28, tzinfo=UTC) + timedelta(minutes=analysis if minute is None else minute),
        faces=tuple(
            FaceNeighbours(
                face_id=face_id,
                score=1.0,
                quality=BLURRED if face_id in blurred else GOOD,
                neighbours=tuple(edge[0] for edge in edges),
                analyses=tuple(edge[1] for edge in edges),
                distances=tuple(edge[2] for edge in edges),
            )
            for face_id, edges in faces.items()
        ),
    )


def hold(held: Held, batch: Iterable[IndexMessage]) -> None:
    """Keep the latest record of each (scan, shard), as a compacted topic does."""
    for message in batch:
        key = (message.scan_id, message.shard)
        if isinstance(message, NeighboursWithdrawn):
            held.pop(key, None)
        elif key not in held or message.analysis >= held[key].analysis:
            held[key] = message
