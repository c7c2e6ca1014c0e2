"""A clustering on disk, so that a restart reads little of `neighbours`. Losing one loses only time: the log has it all.

A snapshot is one file `snapshot-<offset>.npz` of plain arrays, each with its CRC-32 (a ZIP archive's own). It is
written aside, brought to the disk and renamed, so that it is whole or not there. The newest two are kept. The folder
belongs to the one process that clusters.
"""

from __future__ import annotations

import json
import os
import zipfile
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

_FORMAT = 1
_KEPT = 2
_PREFIX = "snapshot-"
_ASIDE = "writing.npz"
_NO_NAME = -1


@dataclass(frozen=True)
class Restored:
    """What could be restored. `offset`: the next one of `neighbours` to read. `refused`: newest first."""

    clustering: Clustering
    offset: int
    refused: tuple[SnapshotRefused, ...]


def save(clustering: Clustering, folder: Path, offset: int) -> Path:
    """Write the clustering as it stands for all of `neighbours` before `offset`; returns the file.

    A million faces with 64 neighbours each are about 1 GB. Not to be called while `apply` runs. Raises OSError when
    the disk does not take it; older snapshots are then untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {"format": _FORMAT, "offset": offset, "parameters": asdict(clustering.parameters)}
    aside = folder / _ASIDE
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, made=np.array(json.dumps(made)), **_plain(clustering.state()))
        file.flush()
        os.fsync(file.fileno())
    path = aside.rename(folder / f"{_PREFIX}{offset:020d}.npz")
    _to_disk(folder)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()
    return path


def load(folder: Path, parameters: Parameters) -> Restored:
    """The clustering of the newest snapshot in `folder` that can be used; an empty one at offset 0 where there is none.

    Passed over, and told in the result: damaged ones, and those of other parameters, since clustering anew from
    `neighbours` is what other parameters ask for.
    """
    refused: list[SnapshotRefused] = []
    for path in _newest_first(folder):
        try:
            clustering, offset = _read(path, parameters)
        except SnapshotRefused as why:
            refused.append(why)
        else:
            return Restored(clustering, offset, tuple(refused))
    return Restored(Clustering(parameters), 0, tuple(refused))


def _read(path: Path, parameters: Parameters) -> tuple[Clustering, int]:
    try:
        with np.load(path, allow_pickle=False) as file:
            made = json.loads(str(file["made"]))
            _check(path, made, parameters)
            state = {name: file[name] for name in file.files if name != "made"}
        return Clustering.of_state(parameters, _named(state)), int(made["offset"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise SnapshotRefused(f"the snapshot {path} is damaged and is not used: {error}") from error


def _check(path: Path, made: Mapping[str, Any], parameters: Parameters) -> None:
    if made["format"] != _FORMAT:
        raise SnapshotRefused(
            f"the snapshot {path} is not used: its format is {made['format']}, this version reads {_FORMAT}"
        )
    wanted = asdict(parameters)
    differing = [name for name in wanted if made["parameters"].get(name) != wanted[name]]
    if differing:
        was = ", ".join(f"{name} {made['parameters'].get(name)}" for name in differing)
        now = ", ".join(f"{name} {wanted[name]}" for name in differing)
        raise SnapshotRefused(f"the snapshot {path} is not used: it was made with {was}, and this is to have {now}")


def _plain(state: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Columns of names as bytes and lengths, since arrays of objects cannot be written without pickle."""
    plain: dict[str, npt.NDArray[Any]] = {}
    for name, column in state.items():
        if column.dtype != np.object_:
            plain[name] = column
            continue
        encoded = [None if text is None else text.encode() for text in column.tolist()]
        plain[f"{name}.bytes"] = np.frombuffer(b"".join(text or b"" for text in encoded), dtype=np.uint8)
        plain[f"{name}.lengths"] = np.array(
            [_NO_NAME if text is None else len(text) for text in encoded], dtype=np.int32
        )
    return plain


def _named(plain: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    state = {name: column for name, column in plain.items() if not name.endswith((".bytes", ".lengths"))}
    for name in plain:
        column, _, kind = name.rpartition(".")
        if kind == "bytes":
            state[column] = _names(plain[name].tobytes(), plain[f"{column}.lengths"])
    return state


def _names(joined: bytes, lengths: npt.NDArray[np.int32]) -> Names:
    ends = np.cumsum(np.maximum(lengths, 0)).tolist()
    names = np.empty(len(lengths), dtype=np.object_)
    start = 0
    for i, (end, length) in enumerate(zip(ends, lengths.tolist(), strict=True)):
        if length != _NO_NAME:
            names[i] = joined[start:end].decode()
        start = end
    return names


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*.npz"), reverse=True)


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
