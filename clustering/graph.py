"""The neighbourhood graph: which nodes there are, which are live, and every edge that the held records say.

It holds the latest record of each (scan, shard) and nothing else, so its state is a function of that set. Which edges
count as links between neighbours is decided in links.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering import records
from clustering.columns.arrays import Slots, joined, part, unique
from clustering.columns.lists import Lists
from clustering.columns.name_index import NameIndex
from clustering.nodes import Edges, Nodes, Scans
from clustering.parameters import Parameters
from schemas.neighbours import NeighboursFound

Key = tuple[str, int]
"""A scan's id and a shard."""

LARGEST_SHARD = 255
_NEVER = -1


@dataclass(frozen=True)
class NeighboursWithdrawn:
    """A tombstone of `neighbours`: shard `shard` no longer knows the scan."""

    scan_id: str
    shard: int


@dataclass(frozen=True)
class Replaced:
    """What a batch did to the graph, before links are decided.

    nodes: all nodes of the scans that were spoken of. dropped: the edges taken away; their rows still hold target and
    distance. dropped_sources: their sources.
    """

    nodes: Slots
    born: Slots
    died: Slots
    dropped: Slots
    dropped_sources: Slots


class Graph:
    """Scans, nodes and edges, with for each node the list of its edges at both ends."""

    def __init__(self, parameters: Parameters) -> None:
        """Empty."""
        self.parameters = parameters
        # The smallest eps_max of any record so far: beyond it the edges are not complete.
        self.eps_max = math.inf
        self.scans = Scans()
        self.nodes = Nodes()
        self.edges = Edges()
        self.edges_of = Lists()
        self.nodes_of = Lists()
        # Analysis by scan and shard, _NEVER where that shard holds no record: int64, shape (scans, shards).
        self.said: npt.NDArray[np.int64] = np.empty((0, 1), dtype=np.int64)
        self.scan_slots: dict[str, int] = {}
        # A node of each face id; further nodes of the same id, while several are known, by id and analysis.
        self.node_index = NameIndex(lambda: self.nodes.face_id)
        self.other_slots: dict[tuple[str, int], int] = {}
        self._leaving: list[Slots] = []
        self._cleared: list[Slots] = []
        self._silent: list[Slots] = []

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All there is to it between batches, as arrays by name."""
        return joined(
            own={"said": self.said[: self.scans.used], "eps_max": np.array(self.eps_max)},
            scans=self.scans.state(),
            nodes=self.nodes.state(),
            edges=self.edges.state(),
            edges_of=self.edges_of.state(),
            nodes_of=self.nodes_of.state(),
        )

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what `state` was taken from."""
        self.said, self.eps_max = state["own.said"], float(state["own.eps_max"])
        tables = {"scans": self.scans, "nodes": self.nodes, "edges": self.edges}
        for name, table in tables.items():
            table.restore(part(state, name))
        self.edges_of.restore(part(state, "edges_of"))
        self.nodes_of.restore(part(state, "nodes_of"))
        scans = self.scans.taken()
        self.scan_slots = dict(zip(self.scans.scan_id[scans].tolist(), scans.tolist(), strict=True))
        self._name(self.nodes.taken())

    def latest(self, batch: Sequence[NeighboursFound | NeighboursWithdrawn]) -> dict[Key, NeighboursFound | None]:
        """What a batch comes to: the last word on each (scan, shard), None where it was withdrawn.

        A record of an older analysis than the one the same shard has already given is ignored. Raises ValueError when
        a record cannot be taken in.
        """
        held: dict[Key, NeighboursFound | None] = {}
        for said in batch:
            key = (said.scan_id, said.shard)
            if isinstance(said, NeighboursWithdrawn):
                held[key] = None
                continue
            self._check(said)
            before = held[key] if key in held else self._analysis(key)
            analysis = before.analysis if isinstance(before, NeighboursFound) else before
            if analysis is None or said.analysis >= analysis:
                held[key] = said
        return held

    def replace(self, held: Mapping[Key, NeighboursFound | None]) -> Replaced:
        """Put these records in the place of those held for the same keys. Nothing is linked yet."""
        known = np.array(
            sorted({self.scan_slots[scan_id] for scan_id, _ in held if scan_id in self.scan_slots}), dtype=np.int64
        )
        _, old = self.nodes_of.read(known)
        sources, dropped = self._drop_edges(old, held)
        found = [record for record in held.values() if record is not None]
        self.eps_max = min([self.eps_max, *(record.eps_max for record in found)])
        scans = self._say(held, found)
        new = self._add(found, scans)
        self._unclaim(old)
        nodes = unique(old, new)
        table = self.nodes
        was = table.live[nodes]
        scan = table.scan[nodes]
        live = (scan >= 0) & (table.analysis[nodes] == self.said[scan].max(axis=1, initial=_NEVER))
        table.live[nodes] = live
        return Replaced(nodes, nodes[live & ~was], nodes[was & ~live], dropped, sources)

    def neighbours(self, nodes: Slots) -> tuple[Slots, Slots, Slots]:
        """The links of distinct nodes: for each link the node, the edge, and the node at its other end."""
        owners, edges = self.edges_of.read(nodes)
        linked = self.edges.linked[edges]
        owners, edges = owners[linked], edges[linked]
        return owners, edges, self.other_end(edges, owners)

    def live_nodes(self, face_ids: Iterable[str]) -> dict[str, int]:
        """The live node of each of these faces that has one."""
        wanted = list(dict.fromkeys(face_ids))
        slots = self.node_index.find(wanted).tolist()
        found = {name: slot for name, slot in zip(wanted, slots, strict=True) if slot >= 0 and self.nodes.live[slot]}
        if len(found) < len(wanted):
            missing = set(wanted) - found.keys()
            for (name, _), slot in self.other_slots.items():
                if name in missing and self.nodes.live[slot]:
                    found[name] = slot
        return found

    def other_end(self, edges: Slots, ends: Slots) -> Slots:
        """The node at the other end of each edge, given one end."""
        return self.edges.source[edges].astype(np.int64) + self.edges.target[edges] - ends

    def settle(self) -> None:
        """Forget what nothing refers to any more. Until then its rows keep their names."""
        if self._cleared:
            self.edges.release(np.concatenate(self._cleared))
        if self._leaving:
            nodes = unique(*self._leaving)
            unknown = (self.nodes.scan[nodes] < 0) & (self.edges_of.sizes[nodes] == self.nodes.holes[nodes])
            self._forget(nodes[unknown])
        if self._silent:
            scans = unique(*self._silent)
            scans = scans[(self.said[scans] == _NEVER).all(axis=1)]
            for scan_id in self.scans.scan_id[scans].tolist():
                del self.scan_slots[scan_id]
            self.scans.release(scans)
        self._leaving, self._cleared, self._silent = [], [], []

    def _check(self, record: NeighboursFound) -> None:
        where = f"the record of scan {record.scan_id!r}, shard {record.shard},"
        if record.shard > LARGEST_SHARD:
            raise ValueError(f"{where} cannot be held: at most {LARGEST_SHARD + 1} shards")
        if record.eps_max < self.parameters.eps:
            raise ValueError(
                f"{where} holds neighbours up to eps_max {record.eps_max} only, but eps is {self.parameters.eps}: "
                "search again with a larger eps_max, or cluster with a smaller eps"
            )

    def _analysis(self, key: Key) -> int | None:
        scan = self.scan_slots.get(key[0])
        if scan is None or key[1] >= self.said.shape[1]:
            return None
        analysis = int(self.said[scan, key[1]])
        return None if analysis == _NEVER else analysis

    def _say(self, held: Mapping[Key, NeighboursFound | None], found: list[NeighboursFound]) -> list[int]:
        """Note which analysis each shard holds now. The scan of each record found."""
        fresh = list(dict.fromkeys(record.scan_id for record in found if record.scan_id not in self.scan_slots))
        slots = self.scans.take(len(fresh))
        self.scans.scan_id[slots] = fresh
        self.scan_slots.update(zip(fresh, slots.tolist(), strict=True))
        self.nodes_of.ensure(self.scans.used)
        self._make_room_to_say(1 + max((record.shard for record in found), default=0))
        self.said[slots] = _NEVER
        for (scan_id, shard), record in held.items():
            scan = self.scan_slots.get(scan_id)
            if scan is not None and shard < self.said.shape[1]:
                self.said[scan, shard] = _NEVER if record is None else record.analysis
                if record is None:
                    self._silent.append(np.array([scan]))
        return [self.scan_slots[record.scan_id] for record in found]

    def _make_room_to_say(self, shards: int) -> None:
        length, width = self.said.shape
        if self.scans.used > length or shards > width:
            longer = length if self.scans.used <= length else int(self.scans.used * 1.5)
            said = np.full((longer, max(width, shards)), _NEVER, dtype=np.int64)
            said[:length, :width] = self.said
            self.said = said

    def _add(self, found: list[NeighboursFound], scans: list[int]) -> Slots:
        """Take in the faces and edges of records. The nodes of their faces."""
        columns = records.columns(found, self.parameters)
        analyses = np.array([record.analysis for record in found], dtype=np.int64)[columns.face_records]
        faces = self._nodes_named(columns.face_ids, analyses)
        self._claim(faces, columns, found, np.array(scans, dtype=np.int64))
        targets = self._nodes_named(columns.neighbours, columns.analyses)
        sources = faces[columns.edge_faces]
        apart = sources != targets
        sources, targets = sources[apart], targets[apart]
        edges = self.edges.take(len(sources))
        self.edges.source[edges] = sources
        self.edges.target[edges] = targets
        self.edges.distance[edges] = columns.distances[apart]
        shards = np.array([record.shard for record in found], dtype=np.uint8)
        self.edges.shard[edges] = shards[columns.face_records[columns.edge_faces[apart]]]
        self.edges_of.append(np.concatenate([sources, targets]), np.concatenate([edges, edges]))
        return faces

    def _claim(self, faces: Slots, columns: records.Columns, found: list[NeighboursFound], scans: Slots) -> None:
        """Nodes that no record has named as its own yet belong to their scan now."""
        faces, first = np.unique(faces, return_index=True)
        unclaimed = self.nodes.scan[faces] < 0
        faces, first = faces[unclaimed], first[unclaimed]
        published = np.array([records.microseconds(record.published_at) for record in found], dtype=np.int64)
        of = columns.face_records[first]
        self.nodes.scan[faces] = scans[of]
        self.nodes.published[faces] = published[of]
        self.nodes.may_be_core[faces] = columns.may_be_core[first]
        self.nodes_of.append(scans[of], faces)

    def _unclaim(self, nodes: Slots) -> None:
        """Nodes of an analysis that no shard holds any more belong to no scan."""
        scan = self.nodes.scan[nodes].astype(np.int64)
        gone = ~(self.said[scan] == self.nodes.analysis[nodes][:, None]).any(axis=1)
        if not gone.any():
            return
        self.nodes.scan[nodes[gone]] = -1
        scans = unique(scan[gone])
        _, listed = self.nodes_of.read(scans)
        self.nodes_of.retain(scans, self.nodes.scan[listed] >= 0)
        self._leaving.append(nodes[gone])

    def _drop_edges(self, old: Slots, held: Mapping[Key, NeighboursFound | None]) -> tuple[Slots, Slots]:
        """Take away what the records said that are now replaced. Sources and edges."""
        owners, edges = self.edges_of.read(old)
        shards = self.said.shape[1]
        keys = [
            self.scan_slots[scan_id] * shards + shard
            for scan_id, shard in held
            if scan_id in self.scan_slots and shard < shards
        ]
        own = self.edges.source[edges] == owners
        owners, edges = owners[own], edges[own]
        replaced = np.isin(self.nodes.scan[owners].astype(np.int64) * shards + self.edges.shard[edges], keys)
        sources, edges = owners[replaced], edges[replaced]
        if len(edges):
            self.edges.source[edges] = -1
            targets = self.edges.target[edges].astype(np.int64)
            np.add.at(self.nodes.holes, targets, 1)
            self._leaving.append(targets)
            sizes = self.edges_of.sizes[targets]
            # Clearing a long list costs its length, so it waits until a part of it is holes: from an eighth to a
            # quarter, not the same for all, so that the lists of one cluster are not all cleared at once.
            due = targets[self.nodes.holes[targets] * 64 >= sizes * (8 + targets % 8)]
            self._clear(unique(sources, due))
        return sources, edges

    def _clear(self, nodes: Slots) -> None:
        """Clear the lists of these nodes of edges that were taken away."""
        owners, edges = self.edges_of.read(nodes)
        gone = self.edges.source[edges] < 0
        self.edges_of.retain(nodes, ~gone)
        self.nodes.holes[nodes] = 0
        # The source's list is always cleared at once, so whoever clears the target's list is the last to know it.
        edges, owners = edges[gone], owners[gone]
        self._cleared.append(edges[self.edges.target[edges] == owners])

    def _nodes_named(self, face_ids: list[str], analyses: Slots) -> Slots:
        """The nodes of these faces in these analyses; unknown ones are made."""
        slots = self.node_index.find(face_ids)
        missing = np.flatnonzero((slots < 0) | (self.nodes.analysis[slots] != analyses))
        if len(missing):
            named = [(face_ids[i], int(analyses[i])) for i in missing.tolist()]
            fresh = [name for name in dict.fromkeys(named) if name not in self.other_slots]
            made = dict(zip(fresh, self._make(fresh).tolist(), strict=True))
            slots[missing] = [made[name] if name in made else self.other_slots[name] for name in named]
        return slots

    def _make(self, names: list[tuple[str, int]]) -> Slots:
        slots = self.nodes.take(len(names))
        self.edges_of.ensure(self.nodes.used)
        self.nodes.face_id[slots] = [face_id for face_id, _ in names]
        self.nodes.analysis[slots] = [analysis for _, analysis in names]
        self._name(slots)
        return slots

    def _name(self, slots: Slots) -> None:
        """Let these nodes be found."""
        face_ids = self.nodes.face_id[slots].tolist()
        known = self.node_index.find(face_ids) >= 0
        first: dict[str, int] = {}
        for face_id, slot, is_known in zip(face_ids, slots.tolist(), known.tolist(), strict=True):
            if is_known or first.setdefault(face_id, slot) != slot:
                self.other_slots[face_id, int(self.nodes.analysis[slot])] = slot
        self.node_index.add(first, np.fromiter(first.values(), np.int64, len(first)))

    def _forget(self, nodes: Slots) -> None:
        self._clear(nodes)
        self.edges.release(np.concatenate(self._cleared[-1:]))
        face_ids = self.nodes.face_id[nodes].tolist()
        indexed = self.node_index.find(face_ids) == nodes
        for i in np.flatnonzero(~indexed).tolist():
            del self.other_slots[face_ids[i], int(self.nodes.analysis[nodes[i]])]
        self.node_index.remove((face_ids[i] for i in np.flatnonzero(indexed).tolist()), nodes[indexed])
        self.nodes.release(nodes)
