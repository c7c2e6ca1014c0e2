"""The ids that superseded cluster ids lead to, from the log of cluster changes."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.clusters import Change, ClusterChanged


class Redirects:
    """Every superseded cluster id with the id that continues it, in one step, however often that was superseded too.

    Reads all changes in their order. An id leads to the successor in its last change, and on from there; so an id that
    leads to one that is created again ends there again. The catalogue's function `current_cluster` returns the same.
    Redirects depend on all former clusters, not on the live faces alone, and so are no part of the clustering's state.
    """

    def __init__(self) -> None:
        """Without redirects."""
        self._successors: dict[str, str | None] = {}
        self._predecessors: dict[str, set[str]] = {}
        self._ends: dict[str, str | None] = {}

    def follow(self, changes: Iterable[ClusterChanged]) -> None:
        """Read the next changes of the log."""
        for change in changes:
            if change.change is Change.CREATED:
                self._remove_successor(change.cluster_id)
                self._set_end(change.cluster_id, change.cluster_id)
            elif change.change in (Change.MERGED, Change.RETIRED):
                self._supersede(change.cluster_id, change.successor)

    def resolve(self, cluster_id: str) -> str | None:
        """The id of the cluster that continues this one: its own while it exists, None where nothing is left of it."""
        return self._ends.get(cluster_id, cluster_id)

    def _supersede(self, cluster_id: str, successor: str | None) -> None:
        self._remove_successor(cluster_id)
        self._successors[cluster_id] = successor
        if successor is not None:
            self._predecessors.setdefault(successor, set()).add(cluster_id)
        self._set_end(cluster_id, None if successor is None else self.resolve(successor))

    def _remove_successor(self, cluster_id: str) -> None:
        successor = self._successors.pop(cluster_id, None)
        if successor is not None:
            self._predecessors[successor].discard(cluster_id)

    def _set_end(self, cluster_id: str, end: str | None) -> None:
        """Let this id, and all that lead to it, end at `end`."""
        visited, waiting = {cluster_id}, [cluster_id]
        while waiting:
            current = waiting.pop()
            self._ends[current] = end
            predecessors = self._predecessors.get(current, set()) - visited
            visited |= predecessors
            waiting += predecessors
