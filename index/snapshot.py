"""An index on disk, so that a restart reads little of the log. Losing one loses only time: the log has it all.

A snapshot is a folder `snapshot-<offset>`: the vectors, the ids, the graph if there is one, and a manifest with the
checksum of each. It is written in a folder aside, brought to the disk and renamed, so that it is whole or not there.
The newest two are kept. The folder belongs to the one process that runs the shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from errors import SnapshotRefused
from index.face_index import FaceIndex, LiveScan
from index.hnsw import Hnsw
from index.parameters import Parameters
from index.store import Store

_FORMAT = 1
_KEPT = 2
_PREFIX = "snapshot-"
_ASIDE = ".writing"
_MANIFEST = "manifest.json"
_VECTORS = "vectors.npy"
_IDS = "ids.json"
_GRAPH = "graph.hnsw"
# What was said depends on these. The rest of the parameters may change between runs.
_MUST_AGREE = ("shard", "shards", "eps_max")
# With others of these the graph is built anew from the vectors, at the next batch.
_OF_GRAPH = ("m", "ef_construction", "seed")


@dataclass(frozen=True)
class Restored:
    """What could be restored. `offset`: the next one of `faces` to read. `refused`: damaged snapshots, newest first."""

    index: FaceIndex
    offset: int
    refused: tuple[SnapshotRefused, ...]


def save(index: FaceIndex, folder: Path, offset: int) -> Path:
    """Write the index as it stands for all of `faces` before `offset`; returns the snapshot's folder.

    A million faces are about 1.2 GB. Not to be called while `apply` runs. Raises OSError when the disk does not take
    it; older snapshots are then untouched.
    """
    aside = folder / _ASIDE
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir(parents=True)
    np.save(aside / _VECTORS, index.store.vectors[: index.store.used])
    ids = {"face_ids": index.store.face_ids[: index.store.used].tolist(), "scans": index.scans}
    (aside / _IDS).write_text(json.dumps(ids, separators=(",", ":")), encoding="utf-8")
    if index.hnsw is not None:
        index.hnsw.save(aside / _GRAPH)
    files = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
    said = {"format": _FORMAT, "offset": offset, "parameters": _parameters(index.parameters), "files": files}
    (aside / _MANIFEST).write_text(json.dumps({"said": said, "sha256": _sha256_of(said)}), encoding="utf-8")
    for path in aside.iterdir():
        _to_disk(path)
    _to_disk(aside)
    target = folder / f"{_PREFIX}{offset:020d}"
    if target.exists():  # of the same offset: its state is the same, and it may be damaged
        shutil.rmtree(target)
    aside.rename(target)
    _to_disk(folder)
    for old in _newest_first(folder)[_KEPT:]:
        shutil.rmtree(old)
    return target


def load(folder: Path, parameters: Parameters) -> Restored:
    """The index of the newest snapshot in `folder` that is whole; an empty one at offset 0 where there is none.

    Damaged ones are passed over and told in the result. Raises SnapshotRefused for one of another shard or eps_max:
    that is not an accident of the disk but of whoever started this.
    """
    damaged: list[SnapshotRefused] = []
    for path in _newest_first(folder):
        try:
            said = _read_manifest(path)
        except SnapshotRefused as refused:
            damaged.append(refused)
            continue
        _check_parameters(path, said["parameters"], parameters)
        try:
            return Restored(_read(path, said, parameters), said["offset"], tuple(damaged))
        except SnapshotRefused as refused:
            damaged.append(refused)
    return Restored(FaceIndex(parameters), 0, tuple(damaged))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        said: dict[str, Any] = manifest["said"]
        if manifest["sha256"] != _sha256_of(said):
            raise _damaged(path, f"{_MANIFEST} does not have its checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{_MANIFEST} cannot be read ({error!r})") from error
    if said["format"] != _FORMAT:
        raise _damaged(path, f"its format is {said['format']}, this version reads {_FORMAT}")
    return said


def _check_parameters(path: Path, made_with: Mapping[str, Any], parameters: Parameters) -> None:
    wanted = _parameters(parameters)
    differing = [name for name in _MUST_AGREE if made_with[name] != wanted[name]]
    if differing:
        was = ", ".join(f"{name} {made_with[name]}" for name in differing)
        now = ", ".join(f"{name} {wanted[name]}" for name in differing)
        raise SnapshotRefused(
            f"the snapshot {path} was made with {was}, this index is to have {now}: "
            f"start it with {was}, or with a data folder of its own"
        )


def _read(path: Path, said: Mapping[str, Any], parameters: Parameters) -> FaceIndex:
    for name, checksum in said["files"].items():
        try:
            if _sha256(path / name) != checksum:
                raise _damaged(path, f"{name} does not have the checksum that {_MANIFEST} says")
        except OSError as error:
            raise _damaged(path, f"{name} cannot be read ({error.strerror})") from error
    index = FaceIndex(parameters)
    ids = json.loads((path / _IDS).read_bytes())
    index.scans = {scan_id: LiveScan(analysis, tuple(slots)) for scan_id, (analysis, slots) in ids["scans"].items()}
    index.store = _store(np.load(path / _VECTORS, mmap_mode="r"), ids["face_ids"], index.scans)
    made_with, wanted = said["parameters"], _parameters(parameters)
    if _GRAPH in said["files"] and all(made_with[name] == wanted[name] for name in _OF_GRAPH):
        index.hnsw = Hnsw.load(path / _GRAPH, parameters, live=index.store.faces)
        index.store.free_all_but(index.hnsw.slots())
    else:
        index.store.free_all_but(np.empty(0, dtype=np.int64))
    return index


def _store(vectors: np.memmap[Any, Any], face_ids: list[str | None], scans: Mapping[str, LiveScan]) -> Store:
    store = Store(capacity=max(len(vectors), 1))
    store.vectors[: len(vectors)] = vectors
    store.face_ids[: len(vectors)] = face_ids
    for live in scans.values():
        slots = list(live.slots)
        store.analyses[slots] = live.analysis
        store.live[slots] = True
        store.faces += len(slots)
    store.used = len(vectors)
    return store


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PREFIX + "*"), reverse=True)


def _parameters(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in (*_MUST_AGREE, *_OF_GRAPH)}


def _damaged(path: Path, why: str) -> SnapshotRefused:
    return SnapshotRefused(f"the snapshot {path} is damaged and is not used: {why}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
