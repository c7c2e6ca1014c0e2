"""An index on disk, so that a restart reads little of `faces`. A lost snapshot costs time only: `faces` has everything.

A snapshot is a folder `snapshot-<offset>`: the vectors, their offsets by the reference if there is one, the ids, the
graph and its layout if there is one, and a manifest with the checksum of each. It is written to a temporary folder,
flushed to disk and renamed, so that it is complete or absent. The newest two are kept. The folder belongs to the one
process that runs the shard.
"""

from __future__ import annotations

import errno
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
from index.exact import Distances
from index.face_index import FaceIndex, IndexState, LiveScan
from index.hnsw import Hnsw
from index.layout import Layout
from index.parameters import Parameters

_FORMAT = 2
# Format 1 had neither offsets nor a layout: offsets are found again, and the graph, of whole vectors, is built again.
_READABLE = (1, _FORMAT)
_KEPT = 2
_PREFIX = "snapshot-"
_TEMPORARY = ".writing"
_MANIFEST = "manifest.json"
_VECTORS = "vectors.npy"
_OFFSETS = "offsets.npy"
_IDS = "ids.json"
_LAYOUT = "layout.npy"
_GRAPH = "graph.hnsw"
# The keys of the manifest: its content, and the checksum of that.
_CONTENT, _CHECKSUM = "said", "sha256"
# Published records depend on these. The other parameters may change between runs. With another reference everything is
# published again, and eps_max may change too.
_MUST_AGREE = ("shard", "shards", "eps_max")
_REFERENCE = "reference_name"
# A snapshot holds vectors of one embedder. Those of another embedder are skipped: `faces` has what is needed.
_EMBEDDER = "embedder_name"
# Where one of these differs, the graph is rebuilt from the vectors with the next batch. By another reference faces are
# set back otherwise.
_OF_GRAPH = ("m", "ef_construction", "seed", _REFERENCE)


@dataclass(frozen=True)
class Restored:
    """What was restored. `offset`: the next one of `faces` to read. `refused`: damaged snapshots, newest first."""

    index: FaceIndex
    offset: int
    refused: tuple[SnapshotRefused, ...]


def save(index: FaceIndex, folder: Path, offset: int) -> Path:
    """Write the index as that of all of `faces` before `offset`; returns the snapshot's folder.

    A million faces are about 1.1 GB. Not to be called while `apply` runs. Raises OSError when it cannot be written;
    older snapshots are then unchanged.
    """
    temporary = folder / _TEMPORARY
    try:
        _write(index, temporary, offset)
    except OSError:
        # On a full disk its space is needed.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    target = folder / f"{_PREFIX}{offset:020d}"
    if target.exists():  # of the same offset: its state is the same, and it may be damaged
        shutil.rmtree(target)
    temporary.rename(target)
    _flush_to_disk(folder)
    for old in _newest_first(folder)[_KEPT:]:
        shutil.rmtree(old)
    return target


def delete_all_but(path: Path) -> None:
    """Delete the other snapshots in the folder of this one. Raises OSError."""
    for other in (*_newest_first(path.parent), path.parent / _TEMPORARY):
        if other != path and other.exists():
            shutil.rmtree(other)


def _write(index: FaceIndex, folder: Path, offset: int) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    state = index.state()
    np.save(folder / _VECTORS, state.vectors)
    if state.offsets is not None:
        np.save(folder / _OFFSETS, state.offsets)
    ids = {"face_ids": state.face_ids, "scans": state.scans}
    (folder / _IDS).write_text(json.dumps(ids, separators=(",", ":")), encoding="utf-8")
    if index.hnsw is not None:
        np.save(folder / _LAYOUT, index.hnsw.layout.array())
        index.hnsw.save(folder / _GRAPH)
    _write_manifest(folder, offset, index.parameters)
    for path in folder.iterdir():
        _flush_to_disk(path)
    _flush_to_disk(folder)


def load(folder: Path, parameters: Parameters) -> Restored:
    """The index of the newest undamaged snapshot in `folder`; an empty one at offset 0 where there is none.

    Damaged ones, and those of another embedder, are skipped and reported in the result. Raises SnapshotRefused for one
    of another shard or eps_max: that is a mistake in how the index was started.
    """
    damaged: list[SnapshotRefused] = []
    for path in _newest_first(folder):
        try:
            manifest = _read_manifest(path)
        except SnapshotRefused as refused:
            damaged.append(refused)
            continue
        if manifest["parameters"].get(_EMBEDDER) != parameters.embedder_name:
            damaged.append(SnapshotRefused(f"the snapshot {path} is not used: it is of another embedder"))
            continue
        _check_parameters(path, manifest["parameters"], parameters)
        try:
            return Restored(_read(path, manifest, parameters), manifest["offset"], tuple(damaged))
        except SnapshotRefused as refused:
            damaged.append(refused)
    return Restored(FaceIndex(parameters), 0, tuple(damaged))


def _write_manifest(path: Path, offset: int, parameters: Parameters) -> None:
    files = {file.name: _sha256(file) for file in sorted(path.iterdir())}
    content = {"format": _FORMAT, "offset": offset, "parameters": _parameters(parameters), "files": files}
    manifest = {_CONTENT: content, _CHECKSUM: _sha256_of(content)}
    (path / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest's content: format, offset, parameters, and files with their checksums."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        content: dict[str, Any] = manifest[_CONTENT]
        if manifest[_CHECKSUM] != _sha256_of(content):
            raise _damaged(path, f"{_MANIFEST} does not have its checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{_MANIFEST} cannot be read ({error!r})") from error
    if content["format"] not in _READABLE:
        raise SnapshotRefused(
            f"the snapshot {path} is not used: its format is {content['format']}, this version reads "
            f"{' and '.join(map(str, _READABLE))}"
        )
    return content


def _check_parameters(path: Path, made_with: Mapping[str, Any], parameters: Parameters) -> None:
    wanted = _parameters(parameters)
    published_again = made_with.get(_REFERENCE) != wanted[_REFERENCE]
    must_agree = _MUST_AGREE[:2] if published_again else _MUST_AGREE
    differing = [name for name in must_agree if made_with[name] != wanted[name]]
    if differing:
        was = ", ".join(f"{name} {made_with[name]}" for name in differing)
        now = ", ".join(f"{name} {wanted[name]}" for name in differing)
        raise SnapshotRefused(
            f"the snapshot {path} was made with {was}, this index is started with {now}: "
            f"start it with {was}, or with a data folder of its own"
        )


def _read(path: Path, manifest: Mapping[str, Any], parameters: Parameters) -> FaceIndex:
    for name in manifest["files"]:
        _check_file(path, name, manifest)
    ids = json.loads((path / _IDS).read_bytes())
    scans = {scan_id: LiveScan(analysis, tuple(slots)) for scan_id, (analysis, slots) in ids["scans"].items()}
    # Mapped, not read: the store copies the vectors, so that they are in memory once only.
    vectors = np.load(path / _VECTORS, mmap_mode="r")
    state = IndexState(vectors, _read_offsets(path, manifest, parameters), ids["face_ids"], scans)
    return FaceIndex.of_state(parameters, state, _read_graph(path, manifest, parameters, state.faces))


def _read_offsets(path: Path, manifest: Mapping[str, Any], parameters: Parameters) -> Distances | None:
    """The saved offsets; None where there are none, or where they are by another reference."""
    same_reference = manifest["parameters"].get(_REFERENCE) == parameters.reference_name
    return np.load(path / _OFFSETS) if same_reference and _OFFSETS in manifest["files"] else None


def _read_graph(path: Path, manifest: Mapping[str, Any], parameters: Parameters, live: int) -> Hnsw | None:
    """The saved graph, in which `live` nodes can be found; None where there is none or its parameters differ."""
    made_with, wanted = manifest["parameters"], _parameters(parameters)
    saved = {_GRAPH, _LAYOUT} <= manifest["files"].keys()
    if not saved or any(made_with[name] != wanted[name] for name in _OF_GRAPH):
        return None
    return Hnsw.load(path / _GRAPH, parameters, Layout.of_array(np.load(path / _LAYOUT)), live)


def layout_of_graph(folder: Path) -> Layout | None:
    """The layout of the graph in a folder, which may be a snapshot or the beginning of one; None: of whole faces.

    Raises SnapshotRefused where that cannot be known, and FileNotFoundError where the folder is deleted meanwhile.
    """
    try:
        if (folder / _MANIFEST).exists():
            manifest = _read_manifest(folder)
            if _LAYOUT not in manifest["files"]:
                return None
            _check_file(folder, _LAYOUT, manifest)
        return Layout.of_array(np.load(folder / _LAYOUT))
    except (SnapshotRefused, OSError, ValueError) as error:
        if not (folder / _GRAPH).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder / _GRAPH)) from error
        if isinstance(error, SnapshotRefused):
            raise
        raise _damaged(folder, f"{_LAYOUT} cannot be read ({error})") from error


def _check_file(path: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Raises SnapshotRefused where a file of a snapshot is not as it was written."""
    try:
        if _sha256(path / name) != manifest["files"][name]:
            raise _damaged(path, f"{name} does not have the checksum in {_MANIFEST}")
    except OSError as error:
        raise _damaged(path, f"{name} cannot be read ({error.strerror})") from error


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PREFIX + "*"), reverse=True)


def _parameters(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in (*_MUST_AGREE, _EMBEDDER, *_OF_GRAPH)}


def _damaged(path: Path, why: str) -> SnapshotRefused:
    return SnapshotRefused(f"the snapshot {path} is damaged and is not used: {why}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
