"""A clustering on disk, so that a restart reads little of `neighbours`. Without it, only time is lost.

A snapshot is one file `snapshot-<offset>.npz` of plain arrays, each with its CRC-32 (a ZIP archive's own). It is
written under another name, flushed to the disk and renamed, so that it is complete or absent. The newest two are kept.
The folder belongs to one process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.clustering import Clustering
from clustering.columns.arrays import Names
from clustering.parameters import Parameters
from errors import SnapshotRefused

# To be raised when the names or the meaning of stored arrays change.
_FORMAT = 3
_HEADER = "made"  # unchanged since format 1, so that files of any format can be recognised
_KEPT = 2
_PREFIX = "snapshot-"
_UNFINISHED = "writing.npz"
_NO_STRING = -1


@dataclass(frozen=True)
class Restored:
    """The result of `load`. `offset`: the next one of `neighbours` to read. `refused`: unusable ones, newest first."""

    clustering: Clustering
    offset: int
    refused: tuple[SnapshotRefused, ...]


def save(clustering: Clustering, folder: Path, offset: int) -> Path:
    """Write the state of the clustering after all of `neighbours` before `offset`; returns the file.

    A million faces with 64 neighbours each are about 1 GB. Must not run at the same time as `apply`. Raises OSError
    when the file cannot be written; older snapshots are then untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": _FORMAT, "offset": offset, "parameters": asdict(clustering.parameters)}
    unfinished = folder / _UNFINISHED
    try:
        with unfinished.open("wb") as file:
            arrays = {_HEADER: np.array(json.dumps(header)), **_encoded(clustering.state())}
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # On a full disk its space is needed.
        unfinished.unlink(missing_ok=True)
        raise
    path = unfinished.rename(folder / f"{_PREFIX}{offset:020d}.npz")
    _flush_folder(folder)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()
    return path


def delete_all_but(path: Path) -> None:
    """Delete the other snapshots in the folder of this one. Raises OSError."""
    for other in (*_newest_first(path.parent), path.parent / _UNFINISHED):
        if other != path:
            other.unlink(missing_ok=True)


def load(folder: Path, parameters: Parameters) -> Restored:
    """The clustering of the newest usable snapshot in `folder`; an empty one at offset 0 where there is none.

    Damaged snapshots, and those of another format or of other parameters, are skipped and reported in the result.
    """
    refused: list[SnapshotRefused] = []
    for path in _newest_first(folder):
        try:
            clustering, offset = _read(path, parameters)
        except SnapshotRefused as error:
            refused.append(error)
        else:
            return Restored(clustering, offset, tuple(refused))
    return Restored(Clustering(parameters), 0, tuple(refused))


def _read(path: Path, parameters: Parameters) -> tuple[Clustering, int]:
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file[_HEADER]))
            _check(path, header, parameters)
            arrays = {name: file[name] for name in file.files if name != _HEADER}
        return Clustering.of_state(parameters, _decoded(arrays)), int(header["offset"])
    except SnapshotRefused:
        raise
    except Exception as error:
        # Of damaged bytes zipfile, its decompressors and numpy raise what they like.
        raise SnapshotRefused(f"the snapshot {path} is damaged and is not used: {error}") from error


def _check(path: Path, header: Mapping[str, Any], parameters: Parameters) -> None:
    if header["format"] != _FORMAT:
        raise SnapshotRefused(
            f"the snapshot {path} is not used: its format is {header['format']}, this version reads {_FORMAT}"
        )
    wanted = asdict(parameters)
    # An older version did not know the parameters that it does not name.
    known = asdict(Parameters()) | dict(header["parameters"])
    differing = [name for name in wanted if known[name] != wanted[name]]
    if differing:
        theirs = ", ".join(f"{name} {known[name]}" for name in differing)
        ours = ", ".join(f"{name} {wanted[name]}" for name in differing)
        raise SnapshotRefused(f"the snapshot {path} is not used: it was written with {theirs}, the setting is {ours}")


def _encoded(state: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Columns of strings as bytes and lengths, since arrays of objects cannot be written without pickle."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, column in state.items():
        if column.dtype != np.object_:
            arrays[name] = column
            continue
        encoded = [None if text is None else text.encode() for text in column.tolist()]
        arrays[f"{name}.bytes"] = np.frombuffer(b"".join(text or b"" for text in encoded), dtype=np.uint8)
        arrays[f"{name}.lengths"] = np.array(
            [_NO_STRING if text is None else len(text) for text in encoded], dtype=np.int32
        )
    return arrays


def _decoded(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The state that `_encoded` was given."""
    state = {name: array for name, array in arrays.items() if not name.endswith((".bytes", ".lengths"))}
    for name, array in arrays.items():
        column, _, kind = name.rpartition(".")
        if kind == "bytes":
            state[column] = _strings(array.tobytes(), arrays[f"{column}.lengths"])
    return state


def _strings(encoded: bytes, lengths: npt.NDArray[np.int32]) -> Names:
    ends = np.cumsum(np.maximum(lengths, 0)).tolist()
    strings = np.empty(len(lengths), dtype=np.object_)
    start = 0
    for i, (end, length) in enumerate(zip(ends, lengths.tolist(), strict=True)):
        if length != _NO_STRING:
            strings[i] = encoded[start:end].decode()
        start = end
    return strings


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*.npz"), reverse=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
