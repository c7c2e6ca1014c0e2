"""Which record of each (scan, shard) is held: the latest one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots, prefixed, section, unique
from clustering.nodes import Scans
from schemas.neighbours import NeighboursFound

Key = tuple[str, int]
"""A scan's id and a shard."""

NO_ANALYSIS = -1


@dataclass(frozen=True)
class NeighboursWithdrawn:
    """A tombstone of `neighbours`: shard `shard` no longer holds the scan."""

    scan_id: str
    shard: int


class HeldRecords:
    """The scans, and for each scan and shard the analysis of the record that is held. Owns the table of scans.

    held_analysis: int64, shape (at least the number of scans, shards); NO_ANALYSIS where a shard holds no record.
    eps_max: the smallest eps_max of any record so far. Beyond it the edges are not complete.
    """

    def __init__(self, eps: float, measure: str | None = None) -> None:
        """No records. Those with distances of this measure are refused where their eps_max is smaller than `eps`."""
        self.eps_max = math.inf
        self.held_analysis: npt.NDArray[np.int64] = np.empty((0, 1), dtype=np.int64)
        self.scans = Scans()
        self._eps = eps
        self._measure = measure
        self._scan_slots: dict[str, int] = {}
        self._withdrawn: list[int] = []

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Its whole state between batches, as arrays by name."""
        return {
            "held_analysis": self.held_analysis[: self.scans.used],
            "eps_max": np.array(self.eps_max),
            **prefixed(scans=self.scans.state()),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        self.held_analysis, self.eps_max = state["held_analysis"], float(state["eps_max"])
        self.scans.restore(section(state, "scans"))
        slots = self.scans.taken()
        self._scan_slots = dict(zip(self.scans.scan_id[slots].tolist(), slots.tolist(), strict=True))

    def latest(self, batch: Sequence[NeighboursFound | NeighboursWithdrawn]) -> dict[Key, NeighboursFound | None]:
        """The latest record of each (scan, shard) in a batch, None where it was withdrawn.

        A record of an older analysis than the one that the shard holds is ignored. Raises ValueError when a record
        reaches less far than eps.
        """
        latest: dict[Key, NeighboursFound | None] = {}
        for record in batch:
            key = (record.scan_id, record.shard)
            if isinstance(record, NeighboursWithdrawn):
                latest[key] = None
                continue
            if problem := self.problem(record):
                raise ValueError(problem)
            former = latest[key] if key in latest else self._analysis(key)
            former_analysis = former.analysis if isinstance(former, NeighboursFound) else former
            if former_analysis is None or record.analysis >= former_analysis:
                latest[key] = record
        return latest

    def known_scans(self, keys: Iterable[Key]) -> Slots:
        """The rows of those scans that are known, ascending."""
        scans = {self._scan_slots[scan_id] for scan_id, _ in keys if scan_id in self._scan_slots}
        return np.array(sorted(scans), dtype=np.int64)

    def are_of(self, keys: Iterable[Key], scans: Slots, shards: npt.NDArray[np.uint8]) -> Mask:
        """Whether each pair of a scan's row and a shard, both of shape (n,), is among these keys."""
        width = self.held_analysis.shape[1]
        numbers = [
            self._scan_slots[scan_id] * width + shard
            for scan_id, shard in keys
            if scan_id in self._scan_slots and shard < width
        ]
        return np.isin(scans * width + shards, numbers)

    def replace(self, latest: Mapping[Key, NeighboursFound | None]) -> list[int]:
        """Hold these records instead of those of the same keys. Returns the scan's row of each that is not None."""
        records = [record for record in latest.values() if record is not None]
        self.eps_max = min([self.eps_max, *(record.eps_max for record in records if record.measure == self._measure)])
        new = list(dict.fromkeys(record.scan_id for record in records if record.scan_id not in self._scan_slots))
        slots = self.scans.take(len(new))
        self.scans.scan_id[slots] = new
        self._scan_slots.update(zip(new, slots.tolist(), strict=True))
        self._ensure_capacity(1 + max((record.shard for record in records), default=0))
        self.held_analysis[slots] = NO_ANALYSIS
        for (scan_id, shard), record in latest.items():
            scan = self._scan_slots.get(scan_id)
            if scan is not None and shard < self.held_analysis.shape[1]:
                self.held_analysis[scan, shard] = NO_ANALYSIS if record is None else record.analysis
                if record is None:
                    self._withdrawn.append(scan)
        return [self._scan_slots[record.scan_id] for record in records]

    def live_analyses(self, scans: npt.NDArray[np.integer]) -> Slots:
        """The live analysis of each scan, the highest one that any shard holds; NO_ANALYSIS where none does."""
        return np.asarray(self.held_analysis[scans].max(axis=1, initial=NO_ANALYSIS))

    def analyses_of(self, scan_ids: Iterable[str]) -> dict[str, int]:
        """The live analysis of each of these scans that has one."""
        known = [scan_id for scan_id in scan_ids if scan_id in self._scan_slots]
        live = self.live_analyses(np.array([self._scan_slots[scan_id] for scan_id in known], dtype=np.int64))
        found = dict(zip(known, live.tolist(), strict=True))
        return {scan_id: analysis for scan_id, analysis in found.items() if analysis != NO_ANALYSIS}

    def are_held(self, scans: Slots, analyses: Slots) -> Mask:
        """Whether any shard holds a record of this analysis of this scan, for each pair."""
        return np.asarray((self.held_analysis[scans] == analyses[:, None]).any(axis=1))

    def finish_batch(self) -> None:
        """Remove the scans of which no shard holds a record any more. Until then their rows keep their ids."""
        if not self._withdrawn:
            return
        scans = unique(np.array(self._withdrawn))
        scans = scans[(self.held_analysis[scans] == NO_ANALYSIS).all(axis=1)]
        for scan_id in self.scans.scan_id[scans].tolist():
            del self._scan_slots[scan_id]
        self.scans.release(scans)
        self._withdrawn = []

    def problem(self, record: NeighboursFound) -> str | None:
        """Why a record cannot be held; None where it can."""
        if record.measure != self._measure or record.eps_max >= self._eps:
            return None
        return (
            f"the record of scan {record.scan_id!r}, shard {record.shard}, holds neighbours up to eps_max "
            f"{record.eps_max} only, but eps is {self._eps}: search again with a larger eps_max, or cluster with a "
            "smaller eps"
        )

    def _analysis(self, key: Key) -> int | None:
        scan = self._scan_slots.get(key[0])
        if scan is None or key[1] >= self.held_analysis.shape[1]:
            return None
        analysis = int(self.held_analysis[scan, key[1]])
        return None if analysis == NO_ANALYSIS else analysis

    def _ensure_capacity(self, shards: int) -> None:
        length, width = self.held_analysis.shape
        if self.scans.used > length or shards > width:
            longer = length if self.scans.used <= length else int(self.scans.used * 1.5)
            held_analysis = np.full((longer, max(width, shards)), NO_ANALYSIS, dtype=np.int64)
            held_analysis[:length, :width] = self.held_analysis
            self.held_analysis = held_analysis
