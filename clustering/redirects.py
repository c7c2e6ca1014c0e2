"""Where the ids that gave way lead to, from the change log of clusters."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.clusters import Change, ClusterChanged


class Redirects:
    """Every id that gave way, and the id that it leads to now: one step, however often the way was prolonged.

    Fed with all changes in their order. Which ids once were is history, so it is not part of the clustering's state.
    """

    def __init__(self) -> None:
        """No redirects."""
        self._successors: dict[str, str | None] = {}
        # The ids that lead to a cluster, so that they can be turned when it gives way itself.
        self._leading: dict[str, set[str]] = {}

    def follow(self, changes: Iterable[ClusterChanged]) -> None:
        """Take in the next changes of the log."""
        for change in changes:
            if change.change is Change.CREATED:
                self._revive(change.cluster_id)
            elif change.change in (Change.MERGED, Change.RETIRED):
                self._turn(change.cluster_id, change.successor)

    def resolve(self, cluster_id: str) -> str | None:
        """The id under which a cluster goes on: its own while it lives, None where nothing is left of it."""
        return self._successors.get(cluster_id, cluster_id)

    def _turn(self, cluster_id: str, successor: str | None) -> None:
        leading = self._leading.pop(cluster_id, set()) | {cluster_id}
        self._successors.update(dict.fromkeys(leading, successor))
        if successor is not None:
            self._leading.setdefault(successor, set()).update(leading)

    def _revive(self, cluster_id: str) -> None:
        successor = self._successors.pop(cluster_id, None)
        if successor is not None:
            self._leading[successor].discard(cluster_id)
