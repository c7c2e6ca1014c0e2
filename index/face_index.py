"""The index of one shard: applies the records of `faces` in order and finds the neighbours of each face.

Its state is a function of these records: for each scan its latest analysis. It holds vectors, ids and HNSW. The caller
publishes the neighbours; they are not kept here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibration.reference import calibrated
from index import exact
from index.entries import Analysed, Withdrawn
from index.exact import Distances, Numbers, Vectors
from index.hnsw import Hnsw
from index.parameters import Parameters, shard_of
from index.rebuild import Rebuild
from index.store import Store
from schemas.faces import Face
from schemas.neighbours import FaceNeighbours, NeighboursFound, neighbours_key
from schemas.topics import NEIGHBOURS, Tombstone

_NO_SLOTS: Numbers = np.empty(0, dtype=np.int64)


class LiveScan(NamedTuple):
    """The live analysis of a scan, and the slots of those of its faces that this shard holds, in their order."""

    analysis: int
    slots: tuple[int, ...]


@dataclass(frozen=True)
class IndexState:
    """The state of an index between batches, without HNSW, which can be built from it.

    vectors: float32, shape (slots, dimension). offsets: float64, shape (slots,), by the reference of the index; None
    where they have to be found again. face_ids: one a slot, None where it holds no face. scans: by scan id.
    """

    vectors: Vectors
    offsets: Distances | None
    face_ids: Sequence[str | None]
    scans: Mapping[str, LiveScan]

    @property
    def faces(self) -> int:
        """The number of live faces."""
        return sum(len(live.slots) for live in self.scans.values())


class FaceIndex:
    """One shard's live faces. Not safe to call from two threads at once.

    A rebuild in the background ends with it: at `close`, or when the index is dropped, as after a failed commit.
    """

    def __init__(self, parameters: Parameters) -> None:
        """An empty index."""
        self.parameters = parameters
        self.store = Store(parameters.reference, dimension=parameters.dimension)
        self._no_vectors: Vectors = np.empty((0, parameters.dimension), dtype=np.float32)
        self.scans: dict[str, LiveScan] = {}
        # The scan of each live face in this shard.
        self._scan_of: dict[str, str] = {}
        self.hnsw: Hnsw | None = None
        self._rebuild: Rebuild | None = None

    @classmethod
    def of_state(cls, parameters: Parameters, state: IndexState, hnsw: Hnsw | None) -> FaceIndex:
        """The index of a state. Without its HNSW, that is built from the vectors with the next batch."""
        index = cls(parameters)
        index.scans = dict(state.scans)
        index._scan_of = {
            face_id: scan_id
            for scan_id, live in index.scans.items()
            for slot in live.slots
            if (face_id := state.face_ids[slot]) is not None
        }
        index.store = Store.restored(
            state.vectors, state.offsets, state.face_ids, index.scans.values(), parameters.reference
        )
        index.hnsw = hnsw
        index.store.free_all_but(hnsw.slots() if hnsw is not None else _NO_SLOTS)
        return index

    def state(self) -> IndexState:
        """The state as it is now. Its arrays and scans are views: not to be changed."""
        vectors, offsets, face_ids = self.store.state()
        return IndexState(vectors, offsets, face_ids, self.scans)

    @property
    def faces(self) -> int:
        """The number of live faces in this shard."""
        return self.store.faces

    @property
    def rebuilding(self) -> bool:
        """Whether a new graph is being built in the background."""
        return self._rebuild is not None

    def apply(self, batch: Sequence[Analysed | Withdrawn], *, search: bool = True) -> list[NeighboursFound | Tombstone]:
        """Apply the next entries; returns one result for each scan among them.

        An analysed scan yields NeighboursFound: for all its faces the live faces of this shard within eps_max, without
        the face itself, sorted by distance and then id. A withdrawn one yields the tombstone of this shard's record.
        With `search=False`, to restore from the topic, nothing is searched and nothing returned.

        A scan with several entries has one result, that of its last entry; the results are in the order of these last
        entries. That is enough: `neighbours` is compacted and keeps only the last record of a scan, an edge to a
        replaced analysis is dead, and every live face of the batch is compared with all live faces, those of the batch
        included.

        Raises ValueError, having changed nothing, when the entries are not in the order of the topic.
        """
        last = self._last_entries(batch)
        for scan_id in last:
            self._remove(scan_id)
        analysed = [entry for entry in last.values() if isinstance(entry, Analysed)]
        self._insert(analysed)
        self._maintain()
        if not search:
            return []
        records = {record.scan_id: record for record in self.search(analysed)}
        return [
            records[scan_id] if isinstance(entry, Analysed) else self._tombstone(scan_id)
            for scan_id, entry in last.items()
        ]

    def search(self, analysed: Sequence[Analysed], *, exactly: bool = False) -> list[NeighboursFound]:
        """The present neighbours of the faces of these analyses, one record each; those no longer live are left out.

        `exactly`: compare all vectors also where HNSW would be searched.
        """
        analysed = [entry for entry in analysed if self.is_live(entry)]
        compared = [entry for entry in analysed if self.compares(entry)]
        faces = [face for entry in compared for face in entry.scan.faces]
        queries = np.concatenate([self._no_vectors, *(entry.vectors for entry in compared if entry.scan.faces)])
        own_slots = self._own_slots(compared)
        rows, slots, distances = self._within_eps_max(queries, own_slots, exactly)
        neighbours = iter(self._face_neighbours(faces, rows, slots, distances))
        return [
            NeighboursFound(
                scan_id=entry.scan_id,
                analysis=entry.analysis,
                shard=self.parameters.shard,
                shards=self.parameters.shards,
                eps_max=self.parameters.eps_max,
                published_at=entry.scan.published_at,
                faces=tuple(self._nearest(next(neighbours), len(entry.scan.faces)) for _ in entry.scan.faces)
                if self.compares(entry)
                else tuple(map(_alone, entry.scan.faces)),
                reference=self.parameters.reference_name,
                embedder=self.parameters.embedder_name,
            )
            for entry in analysed
        ]

    def compares(self, entry: Analysed) -> bool:
        """Whether the faces of this analysis are compared with others: its embedder is the one of this index."""
        return self.parameters.embedder in (None, entry.scan.provenance.embedder)

    def is_live(self, of: Analysed | NeighboursFound) -> bool:
        """Whether this is of the scan's latest analysis, of the entries applied so far."""
        live = self.scans.get(of.scan_id)
        return live is not None and live.analysis == of.analysis

    def scans_of(self, face_ids: Iterable[str]) -> dict[str, str]:
        """The scan of each of these faces that this shard holds, by face id."""
        return {face_id: self._scan_of[face_id] for face_id in face_ids if face_id in self._scan_of}

    def close(self) -> None:
        """End a rebuild in the background, if there is one. The index stays as it is."""
        if self._rebuild is not None:
            self._rebuild.close()
            self._rebuild = None

    def _last_entries(self, batch: Sequence[Analysed | Withdrawn]) -> dict[str, Analysed | Withdrawn]:
        """The last entry of each scan, in the order of these entries."""
        last: dict[str, Analysed | Withdrawn] = {}
        previous = -1
        for entry in batch:
            if isinstance(entry, Analysed):
                live = self.scans.get(entry.scan_id)
                if entry.analysis <= previous or (live is not None and entry.analysis < live.analysis):
                    raise ValueError(
                        f"analysis {entry.analysis} of scan {entry.scan_id!r} is not in the order of the topic"
                    )
                previous = entry.analysis
            last.pop(entry.scan_id, None)
            last[entry.scan_id] = entry
        return last

    def _remove(self, scan_id: str) -> None:
        live = self.scans.pop(scan_id, None)
        if live is None or not live.slots:
            return
        slots = np.array(live.slots, dtype=np.int64)
        for face_id in self.store.face_ids[slots].tolist():
            self._scan_of.pop(face_id, None)
        self.store.drop(slots)
        if self.hnsw is not None:
            self.hnsw.mark(slots)
        else:
            self.store.free(slots)

    def _insert(self, analysed: Sequence[Analysed]) -> None:
        vectors = [self._no_vectors]
        face_ids: list[str] = []
        analyses: list[int] = []
        counts = []
        for entry in analysed:
            own = [self.compares(entry) and self._is_own(face) for face in entry.scan.faces]
            self._scan_of.update(
                (face.face_id, entry.scan_id) for face, is_own in zip(entry.scan.faces, own, strict=True) if is_own
            )
            if any(own):
                vectors.append(entry.vectors[np.array(own, dtype=bool)])
            face_ids += [face.face_id for face, is_own in zip(entry.scan.faces, own, strict=True) if is_own]
            counts.append(sum(own))
            analyses += [entry.analysis] * counts[-1]
        slots = self.store.put(np.concatenate(vectors), face_ids, analyses)
        start = 0
        for entry, count in zip(analysed, counts, strict=True):
            self.scans[entry.scan_id] = LiveScan(entry.analysis, tuple(slots[start : start + count].tolist()))
            start += count
        if self.hnsw is not None and len(slots):
            self.hnsw.add(self.store.vectors[slots], self.store.offsets[slots], slots)
        if self._rebuild is not None:
            self._rebuild.add(slots)

    def _maintain(self) -> None:
        """Build HNSW when the shard has become large, and rebuild or drop it when too many nodes are deleted."""
        if self.hnsw is None:
            if self.faces > self.parameters.exact_below:
                self._build_graph()
        elif self._rebuild is not None:
            if self._rebuild.ready:
                self.finish_rebuild()
        elif self.hnsw.marked > self.parameters.marked_share * self.hnsw.nodes:
            if self.faces > self.parameters.exact_below:
                self._rebuild = Rebuild(self.store, self.parameters)
                self._rebuild.end_with(self)
            else:
                self.hnsw = None
                self.store.free_all_but(_NO_SLOTS)

    def finish_rebuild(self) -> None:
        """Wait for the rebuild in the background, if there is one, and search its graph from now on."""
        if self._rebuild is None:
            return
        self.hnsw = self._rebuild.finish()
        self._rebuild = None
        self.store.free_all_but(self.hnsw.slots())

    def drop_for_good(self) -> None:
        """Let nothing hold the vectors of dropped faces any more: a graph with nodes of them is built again.

        That takes minutes for a million faces.
        """
        self.finish_rebuild()
        if self.hnsw is None or self.hnsw.marked == 0:
            return
        self._build_graph()
        self.store.free_all_but(self.store.live_slots())

    def _build_graph(self) -> None:
        slots = self.store.live_slots()
        self.hnsw = Hnsw(self.parameters, self.store.layout(self.parameters), capacity=max(2 * len(slots), 1))
        self.hnsw.add(self.store.vectors[slots], self.store.offsets[slots], slots)

    def _tombstone(self, scan_id: str) -> Tombstone:
        return Tombstone(NEIGHBOURS, neighbours_key(scan_id, self.parameters.shard))

    def _is_own(self, face: Face) -> bool:
        return shard_of(face.face_id, self.parameters.shards) == self.parameters.shard

    def _own_slots(self, analysed: Iterable[Analysed]) -> Numbers:
        """The slot of each face of these live analyses, -1 for those that another shard holds."""
        own: list[int] = []
        for entry in analysed:
            slots = iter(self.scans[entry.scan_id].slots)
            own.extend(next(slots) if self._is_own(face) else -1 for face in entry.scan.faces)
        return np.array(own, dtype=np.int64)

    def _within_eps_max(
        self, queries: Vectors, own_slots: Numbers, exactly: bool
    ) -> tuple[Numbers, Numbers, Distances]:
        """All (row, slot, distance) found with distance <= eps_max, without the queries themselves."""
        eps_max, reference = self.parameters.eps_max, self.parameters.reference
        offsets = np.zeros(len(queries))
        if reference is not None and len(queries):
            # Those of the faces that this shard holds are known.
            others = own_slots < 0
            offsets = self.store.offsets[own_slots]
            offsets[others] = reference.offsets(queries[others])
        limits = self.parameters.limits(offsets)
        # The rows to search exactly: all of them, or those that HNSW could not complete.
        left = np.arange(len(queries))
        rows = slots = _NO_SLOTS
        if self.hnsw is not None and self.faces > self.parameters.exact_below and not exactly:
            rows, slots, left = self.hnsw.candidates(queries, limits)
        if len(left):
            more_rows, more_slots = exact.candidates(queries[left], self.store.vectors[: self.store.used], limits[left])
            live = self.store.live[more_slots]
            rows = np.concatenate([rows, left[more_rows[live]]])
            slots = np.concatenate([slots, more_slots[live]])
        other = slots != own_slots[rows]
        rows, slots = rows[other], slots[other]
        distances = exact.distances(queries, rows, self.store.vectors, slots)
        if reference is not None:
            distances = calibrated(distances / reference.unit, offsets[rows], self.store.offsets[slots])
        near = distances <= eps_max
        return rows[near], slots[near], distances[near]

    def _nearest(self, face: FaceNeighbours, faces: int) -> FaceNeighbours:
        """The neighbours that are published of a face, of those sorted by distance, on a scan with so many faces."""
        most = self.parameters.most_published(faces)
        if most is None or len(face.neighbours) <= most:
            return face
        columns = {name: getattr(face, name)[:most] for name in ("neighbours", "analyses", "distances")}
        return face.model_copy(update=columns)

    def _face_neighbours(
        self, faces: Sequence[Face], rows: Numbers, slots: Numbers, distances: Distances
    ) -> list[FaceNeighbours]:
        """One FaceNeighbours a face, its neighbours sorted by distance, then face id, then analysis."""
        # Sorted by row, then distance, in numpy. Only rows with equal distances are sorted again, by id, in Python.
        order = np.lexsort((distances, rows))
        rows, slots, distances = rows[order], slots[order], distances[order]
        ends = np.searchsorted(rows, np.arange(len(faces)), side="right").tolist()
        tied = np.zeros(len(faces), dtype=np.bool_)
        tied[rows[1:][(rows[1:] == rows[:-1]) & (distances[1:] == distances[:-1])]] = True
        names: list[str] = self.store.face_ids[slots].tolist()
        analyses = self.store.analyses[slots].tolist()
        lengths = distances.tolist()
        found = []
        start = 0
        for face, end, has_ties in zip(faces, ends, tied.tolist(), strict=True):
            columns = (tuple(lengths[start:end]), tuple(names[start:end]), tuple(analyses[start:end]))
            if has_ties:
                length, name, analysis = zip(*sorted(zip(*columns, strict=True)), strict=True)
                columns = (length, name, analysis)
            found.append(
                FaceNeighbours(
                    face_id=face.face_id,
                    score=face.score,
                    quality=face.quality,
                    neighbours=columns[1],
                    analyses=columns[2],
                    distances=columns[0],
                )
            )
            start = end
        return found


def _alone(face: Face) -> FaceNeighbours:
    return FaceNeighbours(
        face_id=face.face_id, score=face.score, quality=face.quality, neighbours=(), analyses=(), distances=()
    )
