"""The tables of the graph: scans, nodes, edges.

A node is a face of one analysis: a face that is analysed anew keeps its id, but is another node, with other edges. An
edge may name a node before any record has told of it; such a node is known by name only until then.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Names, Slots
from clustering.columns.tables import Table

Int32 = npt.NDArray[np.int32]


class Nodes(Table):
    """One row a node."""

    # What the records say of it. `scan` is -1 while no record that is held names the node as its own.
    face_id: Names
    analysis: Slots
    scan: Int32
    published: Slots  # microseconds since 1970, UTC
    may_be_core: Mask
    live: Mask
    # Edges in its list that were taken away, and wait to be cleared from it.
    holes: Int32
    # DBSCAN: live neighbours within eps and itself; the edge to the nearest core (border only); the cluster.
    count: Int32
    core: Mask
    anchor: Int32
    cluster: Int32
    # What archivists' links and separations make of it: the part that it is in instead of its cluster.
    part: Int32
    # Whether a name or a rejection of it holds, and what comes of names: clustering.labelling.Labels or None.
    decided: Mask
    labels: npt.NDArray[np.object_]
    # What was last said of it in an assignment.
    said_role: npt.NDArray[np.uint8]
    said_cluster: Names
    said_labels: npt.NDArray[np.object_]
    # For one search only: the part of a cluster that found it.
    mark: Int32

    columns: ClassVar = {
        "face_id": (np.object_, None),
        "analysis": (np.int64, -1),
        "scan": (np.int32, -1),
        "published": (np.int64, 0),
        "may_be_core": (np.bool_, False),
        "live": (np.bool_, False),
        "holes": (np.int32, 0),
        "count": (np.int32, 0),
        "core": (np.bool_, False),
        "anchor": (np.int32, -1),
        "cluster": (np.int32, -1),
        "part": (np.int32, -1),
        "decided": (np.bool_, False),
        "labels": (np.object_, None),
        "said_role": (np.uint8, 0),
        "said_cluster": (np.object_, None),
        "said_labels": (np.object_, None),
        "mark": (np.int32, -1),
    }
    # Decisions are no part of the state: they are read anew from their topic, and what follows from them with them.
    derived: ClassVar = frozenset({"part", "decided", "labels", "said_role", "said_cluster", "said_labels", "mark"})


class Edges(Table):
    """One row an edge as a record said it: `source` is the record's own face. -1: taken away.

    Of the edges between two nodes the shortest one speaks for the pair; `linked` says that it does, that both ends
    are live, and that the distance makes them neighbours.
    """

    source: Int32
    target: Int32
    distance: npt.NDArray[np.float64]
    shard: npt.NDArray[np.uint8]
    linked: Mask

    columns: ClassVar = {
        "source": (np.int32, -1),
        "target": (np.int32, -1),
        "distance": (np.float64, np.inf),
        "shard": (np.uint8, 0),
        "linked": (np.bool_, False),
    }


class Scans(Table):
    """One row a scan."""

    scan_id: Names

    columns: ClassVar = {"scan_id": (np.object_, None)}
