"""Where the ids that gave way lead to, from the change log of clusters."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.clusters import Change, ClusterChanged


class Redirects:
    """Every id that gave way, and the id that it leads to now: one step, however often the way was prolonged.

    Fed with all changes in their order. An id leads to what its last change names as successor, and from there on as
    that one leads, so that who led to an id that comes back to life leads there again. The catalogue's function
    `current_cluster` says the same. Which ids once were is history, so it is not part of the clustering's state.
    """

    def __init__(self) -> None:
        """No redirects."""
        self._successors: dict[str, str | None] = {}
        self._predecessors: dict[str, set[str]] = {}
        self._ends: dict[str, str | None] = {}

    def follow(self, changes: Iterable[ClusterChanged]) -> None:
        """Take in the next changes of the log."""
        for change in changes:
            if change.change is Change.CREATED:
                self._forget(change.cluster_id)
                self._lead(change.cluster_id, change.cluster_id)
            elif change.change in (Change.MERGED, Change.RETIRED):
                self._turn(change.cluster_id, change.successor)

    def resolve(self, cluster_id: str) -> str | None:
        """The id under which a cluster goes on: its own while it lives, None where nothing is left of it."""
        return self._ends.get(cluster_id, cluster_id)

    def _turn(self, cluster_id: str, successor: str | None) -> None:
        self._forget(cluster_id)
        self._successors[cluster_id] = successor
        if successor is not None:
            self._predecessors.setdefault(successor, set()).add(cluster_id)
        self._lead(cluster_id, None if successor is None else self.resolve(successor))

    def _forget(self, cluster_id: str) -> None:
        successor = self._successors.pop(cluster_id, None)
        if successor is not None:
            self._predecessors[successor].discard(cluster_id)

    def _lead(self, cluster_id: str, end: str | None) -> None:
        """This id, and all that lead to it, lead to `end` now."""
        turned, waiting = {cluster_id}, [cluster_id]
        while waiting:
            turning = waiting.pop()
            self._ends[turning] = end
            more = self._predecessors.get(turning, set()) - turned
            turned |= more
            waiting += more
