"""The tables of the graph: scans, nodes, edges.

A node is a face of one analysis: a face that is analysed again keeps its id, but is another node, with other edges. An
edge may end at a node whose own record has not been read yet; of such a node only face id and analysis are known.

Every column has one owner: the module whose objects write it. All others only read it. The owner stands beside the
column below, and tests/clustering/test_column_owners.py holds the code to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Names, Slots
from clustering.columns.tables import Table

Int32 = npt.NDArray[np.int32]
Columns = Mapping[str, tuple[npt.DTypeLike, object]]


def _all_columns(by_owner: Mapping[str, Columns]) -> Columns:
    return {name: column for columns in by_owner.values() for name, column in columns.items()}


class Nodes(Table):
    """One row for each node."""

    # What identifies it.
    face_id: Names
    analysis: Slots
    # From its records. `scan` is -1 while no record that is held has the node among its own faces.
    scan: Int32
    published_at: Slots  # microseconds since 1970, UTC
    may_be_core: Mask
    live: Mask
    # Deleted edges that are still in its list of edges.
    holes: Int32
    # DBSCAN: the number of live neighbours, itself included; whether it is core; a border's edge to its anchor.
    count: Int32
    core: Mask
    anchor: Int32
    # How far away the farthest of its nearest is, where it has as many as it may; infinite where it may have more, or
    # where that is not known.
    farthest_kept: npt.NDArray[np.float64]
    # Its cluster by DBSCAN, and the constrained cluster that it is in instead, where decisions make a difference.
    cluster: Int32
    constrained: Int32
    # Whether a name, or the rejection of one, holds for its face.
    decided: Mask
    # clustering.labelling.Labels, or None.
    labels: npt.NDArray[np.object_]
    # Its last published assignment. The role is 0 while there is none.
    published_role: npt.NDArray[np.uint8]
    published_cluster: Names
    published_labels: npt.NDArray[np.object_]
    # Scratch for one search at a time, see `marks`.
    mark: Int32

    by_owner: ClassVar[Mapping[str, Columns]] = {
        "node_index": {"face_id": (np.object_, None), "analysis": (np.int64, -1)},
        "graph": {
            "scan": (np.int32, -1),
            "published_at": (np.int64, 0),
            "may_be_core": (np.bool_, False),
            "live": (np.bool_, False),
        },
        "edge_lists": {"holes": (np.int32, 0)},
        "dbscan": {"count": (np.int32, 0), "core": (np.bool_, False)},
        "anchors": {"anchor": (np.int32, -1)},
        "shared_neighbours": {"farthest_kept": (np.float64, np.inf)},
        "membership": {"cluster": (np.int32, -1), "constrained": (np.int32, -1)},
        "live_decisions": {"decided": (np.bool_, False)},
        "labelling": {"labels": (np.object_, None)},
        "changes": {
            "published_role": (np.uint8, 0),
            "published_cluster": (np.object_, None),
            "published_labels": (np.object_, None),
        },
        "nodes": {"mark": (np.int32, -1)},
    }
    columns: ClassVar = _all_columns(by_owner)
    # Decisions are not part of the state, and so nothing that follows from them: they are read again from their topic.
    # The farthest that is kept is found out again.
    derived: ClassVar = frozenset(
        {"constrained", "decided", "labels", "published_role", "published_cluster", "published_labels", "mark"}
        | {"farthest_kept"}
    )

    def marks(self) -> Marks:
        """The scratch column, to be used in a `with` statement. Only one search may use it at a time."""
        return Marks(self.mark)


class Marks:
    """A number for each node that was marked, -1 for every other: int32. All marks are cleared at the end."""

    def __init__(self, mark: Int32) -> None:
        """`mark` holds -1 everywhere."""
        self._mark = mark
        self._marked: list[Slots] = []

    def __enter__(self) -> Marks:
        """Nothing is marked."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the marks at a cost of the nodes that were marked, not of the whole column."""
        for nodes in self._marked:
            self._mark[nodes] = -1

    def __getitem__(self, nodes: Slots) -> Int32:
        """The mark of each node, in the shape of `nodes`."""
        return self._mark[nodes]

    def put(self, nodes: Slots, numbers: Slots | int) -> None:
        """Mark nodes with these numbers, from 0 on."""
        self._mark[nodes] = numbers
        self._marked.append(nodes)

    def number(self, nodes: Slots) -> None:
        """Mark distinct nodes with their positions in this array."""
        self.put(nodes, np.arange(len(nodes)))


class Edges(Table):
    """One row for each edge, as a record holds it. `source` is the record's own face; -1: the edge is deleted.

    Of the edges between two nodes the shortest one represents the pair. `active` means that this edge does, that both
    ends are live, and that they are near enough to be neighbours. `within_reach` means the same up to the reach of
    shared neighbours; of these, `kept_by_source` and `kept_by_target` are among the nearest of that end.
    """

    source: Int32
    target: Int32
    distance: npt.NDArray[np.float64]
    shard: npt.NDArray[np.uint8]
    active: Mask
    within_reach: Mask
    kept_by_source: Mask
    kept_by_target: Mask

    by_owner: ClassVar[Mapping[str, Columns]] = {
        "edge_lists": {
            "source": (np.int32, -1),
            "target": (np.int32, -1),
            "distance": (np.float64, np.inf),
            "shard": (np.uint8, 0),
        },
        "active_edges": {"active": (np.bool_, False)},
        "shared_neighbours": {
            "within_reach": (np.bool_, False),
            "kept_by_source": (np.bool_, False),
            "kept_by_target": (np.bool_, False),
        },
    }
    columns: ClassVar = _all_columns(by_owner)


class Scans(Table):
    """One row for each scan."""

    scan_id: Names

    by_owner: ClassVar[Mapping[str, Columns]] = {"held_records": {"scan_id": (np.object_, None)}}
    columns: ClassVar = _all_columns(by_owner)
