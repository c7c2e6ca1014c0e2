"""The neighbourhood graph: the nodes and edges of all records that are held.

It holds the latest record of each (scan, shard) and nothing else, so its state is a function of that set. Which edges
are active, that is, make two nodes neighbours, is decided in active_edges.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots, prefixed, section, unique
from clustering.columns.lists import Lists
from clustering.edge_lists import EdgeLists
from clustering.flat_records import FlatRecords, flatten, microseconds
from clustering.held_records import HeldRecords, Key
from clustering.node_index import NodeIndex
from clustering.nodes import Edges, Nodes
from clustering.parameters import Parameters
from schemas.neighbours import NeighboursFound

_NONE: Set[str] = frozenset()


@dataclass(frozen=True)
class GraphChanges:
    """What a batch changed in the graph, before active edges are decided.

    nodes: all nodes of the scans in the batch, and of faces that are excluded now and were not, or were and are not.
    added, removed: those of them that became live, or ceased to be.
    deleted_edges: the edges of replaced records; their rows keep target and distance until the end of the batch.
    deleted_sources: the sources of these edges.
    """

    nodes: Slots
    added: Slots
    removed: Slots
    deleted_edges: Slots
    deleted_sources: Slots


class Graph:
    """Scans, nodes and edges. Owns the nodes' columns scan, published_at, may_be_core and live."""

    def __init__(self, parameters: Parameters) -> None:
        """Empty."""
        self.parameters = parameters
        self.nodes = Nodes()
        self.edges = Edges()
        self.records = HeldRecords(parameters.reach_or_eps, parameters.measure)
        self.node_index = NodeIndex(self.nodes)
        self.edges_of = EdgeLists(self.nodes, self.edges)
        self.nodes_of = Lists()  # by scan, the nodes of all analyses that any shard holds
        # Ids of faces that are none: their nodes are never live.
        self.excluded: set[str] = set()
        # Nodes that lost their scan or an edge in this batch, and may have to be removed.
        self._dereferenced: list[Slots] = []

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Its whole state between batches, as arrays by name."""
        return prefixed(
            records=self.records.state(),
            nodes=self.nodes.state(),
            edges=self.edges.state(),
            edges_of=self.edges_of.state(),
            nodes_of=self.nodes_of.state(),
        )

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        self.records.restore(section(state, "records"))
        self.nodes.restore(section(state, "nodes"))
        self.edges.restore(section(state, "edges"))
        self.edges_of.restore(section(state, "edges_of"))
        self.nodes_of.restore(section(state, "nodes_of"))
        self.node_index.restore()
        held = self.nodes.taken()
        self.excluded = set(self.nodes.face_id[held[self._of_live_analysis(held) & ~self.nodes.live[held]]].tolist())

    def replace(
        self, latest: Mapping[Key, NeighboursFound | None], exclude: Set[str] = _NONE, include: Set[str] = _NONE
    ) -> GraphChanges:
        """Hold these records instead of those of the same keys. No edge of them is active yet.

        exclude, include: ids of faces that are none from now on, and of those that are faces again.
        """
        self.excluded = (self.excluded | exclude) - include
        _, old = self.nodes_of.read(self.records.known_scans(latest))
        sources, deleted = self._edges_of_records(old, latest)
        self.edges_of.delete(sources, deleted)
        self._dereferenced.append(self.edges.target[deleted].astype(np.int64))

        scans = self.records.replace(latest)
        self.nodes_of.ensure(self.records.scans.used)
        new = self._add([record for record in latest.values() if record is not None], scans)
        self._release_from_scans(old)

        nodes = unique(old, new, self.node_index.all(exclude | include))
        table = self.nodes
        was_live, live = table.live[nodes], self._of_live_analysis(nodes)
        if self.excluded:
            face_ids = table.face_id[nodes].tolist()
            live &= np.array([face_id not in self.excluded for face_id in face_ids], dtype=np.bool_)
        table.live[nodes] = live
        return GraphChanges(nodes, nodes[live & ~was_live], nodes[was_live & ~live], deleted, sources)

    def neighbours(self, nodes: Slots) -> tuple[Slots, Slots, Slots]:
        """The active edges of distinct nodes: for each edge the node, the edge, and the node at its other end."""
        owners, edges = self.edges_of.read(nodes)
        active = self.edges.active[edges]
        owners, edges = owners[active], edges[active]
        return owners, edges, self.other_end(edges, owners)

    def ends(self, edges: Slots) -> tuple[Slots, Slots]:
        """Source and target of each edge."""
        return self.edges.source[edges].astype(np.int64), self.edges.target[edges].astype(np.int64)

    def other_end(self, edges: Slots, ends: Slots) -> Slots:
        """The node at the other end of each edge, given one end."""
        return self.edges.source[edges].astype(np.int64) + self.edges.target[edges] - ends

    def scan_ids_of(self, nodes: Slots) -> list[str]:
        """The scan's id of each node that belongs to a scan."""
        scan_ids: list[str] = self.records.scans.scan_id[self.nodes.scan[nodes]].tolist()
        return scan_ids

    def scans_of(self, face_ids: Collection[str]) -> dict[str, str]:
        """The scan of each of these faces that is live, by face id."""
        live = self.node_index.live(face_ids) if face_ids else {}
        return dict(zip(live, self.scan_ids_of(np.array(list(live.values()), dtype=np.int64)), strict=True))

    def finish_batch(self) -> None:
        """Remove scans, nodes and edges that nothing refers to any more. Until then their rows keep their values."""
        self.edges_of.finish_batch()
        nodes = unique(*self._dereferenced)
        if len(nodes):
            self._remove(self.edges_of.without_edges(nodes[self.nodes.scan[nodes] < 0]))
        self._dereferenced = []
        self.records.finish_batch()

    def _of_live_analysis(self, nodes: Slots) -> Mask:
        scan = self.nodes.scan[nodes]
        return np.asarray((scan >= 0) & (self.nodes.analysis[nodes] == self.records.live_analyses(scan)))

    def _edges_of_records(self, nodes: Slots, keys: Mapping[Key, object]) -> tuple[Slots, Slots]:
        """Of the edges of these nodes, those that come from the held records of these keys: sources and edges."""
        owners, edges = self.edges_of.read(nodes)
        own = self.edges.source[edges] == owners
        owners, edges = owners[own], edges[own]
        replaced = self.records.are_of(keys, self.nodes.scan[owners].astype(np.int64), self.edges.shard[edges])
        return owners[replaced], edges[replaced]

    def _add(self, records: Sequence[NeighboursFound], scans: list[int]) -> Slots:
        """Add the faces and edges of records, given with the rows of their scans. Returns the nodes of the faces."""
        flat = flatten(records, self.parameters)
        analyses = np.array([record.analysis for record in records], dtype=np.int64)[flat.face_records]
        faces = self.node_index.find_or_create(flat.face_ids, analyses)
        targets = self.node_index.find_or_create(flat.neighbours, flat.analyses)
        self.edges_of.ensure(self.nodes.used)
        self._assign_to_scans(faces, flat, records, np.array(scans, dtype=np.int64))

        sources = faces[flat.edge_faces]
        proper = sources != targets  # an edge from a node to itself makes no neighbours
        shards = np.array([record.shard for record in records], dtype=np.uint8)[flat.face_records[flat.edge_faces]]
        self.edges_of.add(sources[proper], targets[proper], flat.distances[proper], shards[proper])
        return faces

    def _assign_to_scans(
        self, faces: Slots, flat: FlatRecords, records: Sequence[NeighboursFound], scans: Slots
    ) -> None:
        """Assign nodes to the scans of their records, and take over what the records hold about them.

        The first record of a node decides. Nodes that belong to their scan already, from a record of another shard or
        an earlier one of the same analysis, stay as they are.
        """
        faces, first = np.unique(faces, return_index=True)
        new = self.nodes.scan[faces] < 0
        faces, first = faces[new], first[new]
        published_at = np.array([microseconds(record.published_at) for record in records], dtype=np.int64)
        record_of = flat.face_records[first]
        self.nodes.scan[faces] = scans[record_of]
        self.nodes.published_at[faces] = published_at[record_of]
        self.nodes.may_be_core[faces] = flat.may_be_core[first]
        self.nodes_of.append(scans[record_of], faces)

    def _release_from_scans(self, nodes: Slots) -> None:
        """Nodes of an analysis that no shard holds any more belong to no scan."""
        scan = self.nodes.scan[nodes].astype(np.int64)
        released = ~self.records.are_held(scan, self.nodes.analysis[nodes])
        if not released.any():
            return
        self.nodes.scan[nodes[released]] = -1
        scans = unique(scan[released])
        _, listed = self.nodes_of.read(scans)
        self.nodes_of.retain(scans, self.nodes.scan[listed] >= 0)
        self._dereferenced.append(nodes[released])

    def _remove(self, nodes: Slots) -> None:
        self.edges_of.drop_lists(nodes)
        self.node_index.remove(nodes)
        self.nodes.release(nodes)
