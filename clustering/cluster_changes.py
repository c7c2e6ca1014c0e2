"""What happened to clusters, from where their faces were and are: the events of the change log.

Batches (changes.py) and reconciliations with what was published (reconciliation.py) make the log with this code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.clusters import Change, ClusterChanged, Role

# A cluster of a million faces may fall apart into as many. So many ids in one record are some hundred kilobytes.
MAX_PARTS = 10_000


class Place(NamedTuple):
    """Where a face is, or was: its cluster, None for noise, and its role."""

    cluster_id: str | None
    role: Role


@dataclass
class _Continuation:
    """Where the faces of a former cluster are now, of those that are in a cluster.

    cores: the clusters of its cores that are core still. oldest, oldest_core: the oldest face and the oldest of these
    cores: publication time, face id, cluster. named_after: the cluster of the face that it was called after.
    """

    cores: set[str] = field(default_factory=set)
    oldest: tuple[int, str, str] | None = None
    oldest_core: tuple[int, str, str] | None = None
    named_after: str | None = None


class Moves:
    """Faces that were in one place and are in another, gathered one by one. It keeps clusters, no faces."""

    def __init__(self) -> None:
        """Without faces."""
        self._continuations: dict[str, _Continuation] = {}
        self._growth: Counter[str] = Counter()

    def add(self, face_id: str, published_at: int, before: Place | None, after: Place | None) -> None:
        """Take in a face, at most once. None: it had no assignment, or has none. It may have stayed in its place.

        `published_at` in any unit. Faces that stayed in their places may be left out, see `changes`.
        """
        former = None if before is None else before.cluster_id
        cluster_id = None if after is None else after.cluster_id
        if former != cluster_id:
            if former is not None:
                self._growth[former] -= 1
            if cluster_id is not None:
                self._growth[cluster_id] += 1
        if former is None or cluster_id is None:
            return
        continuation = self._continuations.get(former)
        if continuation is None:
            continuation = self._continuations[former] = _Continuation()
        if face_id == former:
            continuation.named_after = cluster_id
        age = (published_at, face_id, cluster_id)
        if continuation.oldest is None or age < continuation.oldest:
            continuation.oldest = age
        if before is not None and after is not None and before.role is after.role is Role.CORE:
            continuation.cores.add(cluster_id)
            if continuation.oldest_core is None or age < continuation.oldest_core:
                continuation.oldest_core = age

    def sizes(self, present: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """Sizes before and after of the clusters that have or had these faces, given all present sizes."""
        touched = self._growth.keys() | self._continuations.keys()
        after = {cluster_id: present[cluster_id] for cluster_id in touched if cluster_id in present}
        before = {cluster_id: after.get(cluster_id, 0) - self._growth[cluster_id] for cluster_id in touched}
        return {cluster_id: size for cluster_id, size in before.items() if size}, after

    def undone(self, present: Mapping[str, int]) -> dict[str, int]:
        """All sizes before, given all present ones."""
        before, after = self.sizes(present)
        return {**{cluster_id: size for cluster_id, size in present.items() if cluster_id not in after}, **before}

    def changes(
        self, before: Mapping[str, int], after: Mapping[str, int], keeps_core: Callable[[str], bool]
    ) -> Iterator[ClusterChanged]:
        """The changes that lead from the sizes `before` to those `after`: of former clusters, then of created ones.

        `keeps_core` returns whether some core of this id's former cluster, of those that were not added, is core in
        the cluster of this id. Ordered by cluster id.
        """
        created = set(after.keys() - before.keys())
        for cluster_id in sorted(before):
            continuation = self._continuations.get(cluster_id, _NOTHING_LEFT)
            size = after.get(cluster_id, 0)
            continues = size > 0 and (
                not continuation.cores or cluster_id in continuation.cores or keeps_core(cluster_id)
            )
            if size and not continues:
                created |= {cluster_id}
                yield from _parted(cluster_id, 0, sorted(continuation.cores))
                # The oldest face kept the id, in a cluster of others: the cores are what continues the former cluster.
                yield _retired(cluster_id, continuation.oldest_core)
            else:
                yield from _changes_of(cluster_id, before[cluster_id], size, continuation)
        for cluster_id in sorted(created):
            yield ClusterChanged(cluster_id=cluster_id, change=Change.CREATED, size=after[cluster_id])


_NOTHING_LEFT = _Continuation()


def _changes_of(cluster_id: str, before: int, after: int, continuation: _Continuation) -> Iterator[ClusterChanged]:
    """The changes of a cluster that existed before, from its sizes: of its cores and size, then of its id."""
    parts = sorted(continuation.cores | ({cluster_id} if after else set()))
    if len(parts) > 1:
        yield from _parted(cluster_id, after, parts)
    elif after > before:
        yield ClusterChanged(cluster_id=cluster_id, change=Change.GROWN, size=after)
    elif 0 < after < before:
        yield ClusterChanged(cluster_id=cluster_id, change=Change.SHRUNK, size=after)
    if after:
        return
    if continuation.named_after is None:
        yield _retired(cluster_id, continuation.oldest)
    else:
        # The id is that of the oldest face. Where this face still is in a cluster, an older one made the id change.
        yield ClusterChanged(cluster_id=cluster_id, change=Change.MERGED, size=0, successor=continuation.named_after)


def _parted(cluster_id: str, size: int, parts: list[str]) -> Iterator[ClusterChanged]:
    """The split of a cluster, in as many records as its parts need."""
    if len(parts) > 1:
        for start in range(0, len(parts), MAX_PARTS):
            some = tuple(parts[start : start + MAX_PARTS])
            yield ClusterChanged(cluster_id=cluster_id, change=Change.SPLIT, size=size, parts=some)


def _retired(cluster_id: str, heir: tuple[int, str, str] | None) -> ClusterChanged:
    successor = heir[2] if heir else None
    return ClusterChanged(cluster_id=cluster_id, change=Change.RETIRED, size=0, successor=successor)
