"""The vectors that a saved HNSW graph holds, those of nodes that are marked deleted too.

hnswlib returns no vector of a deleted node, so its file is read: a header, and then for each node its links, its vector
and its label (hnswlib 0.8, `HierarchicalNSW::saveIndex` in hnswalg.h). The vectors are reduced to the axes of the file
beside it (axes.py); in a snapshot without that file, of an older version, they are whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from errors import SnapshotRefused
from index.axes import AXES_FILE, Axes
from index.exact import Vectors

_HEADER_BYTES = 96
# Six numbers of the size of a pointer begin it.
_NODES, _NODE_BYTES, _LABEL_AT, _VECTOR_AT = 2, 3, 4, 5
# Each coordinate is moved by up to 1e-5 before a vector is inserted (index/hnsw.py): all together by a tenth of this.
_SAME = 1e-3


def holds(path: Path, embeddings: Iterable[bytes]) -> int:
    """How many nodes of the graph in this file are one of these embeddings (little-endian float32), or nearly so.

    Raises SnapshotRefused for a graph of reduced vectors without its axes.
    """
    all_wanted = [np.frombuffer(embedding, dtype="<f4") for embedding in embeddings]
    if not all_wanted:
        return 0
    vectors = _vectors(path)
    beside = path.with_name(AXES_FILE)
    axes = Axes.of_array(np.load(beside)) if beside.exists() else None
    dimension = vectors.shape[1] if axes is None else len(axes.mean)
    # Of a face there may be embeddings of several embedders; a graph has those of one.
    wanted = [vector for vector in all_wanted if len(vector) == dimension]
    if axes is None and not wanted:
        raise SnapshotRefused(f"{path} cannot be searched: {AXES_FILE} is not beside it")
    if axes is not None and wanted:
        wanted = list(axes.reduced(np.stack(wanted)))
    return sum(int((np.linalg.norm(vectors - vector, axis=1) < _SAME).sum()) for vector in wanted)


def _vectors(path: Path) -> Vectors:
    content = np.memmap(path, dtype=np.uint8, mode="r")
    numbers = np.frombuffer(content[:48].tobytes(), dtype="<u8").tolist()
    nodes, node_bytes = numbers[_NODES], numbers[_NODE_BYTES]
    # The label follows the vector, so a vector of any embedder is what is between.
    vector_at, vector_end = numbers[_VECTOR_AT], numbers[_LABEL_AT]
    rows = content[_HEADER_BYTES : _HEADER_BYTES + nodes * node_bytes].reshape(nodes, node_bytes)
    columns = np.ascontiguousarray(rows[:, vector_at:vector_end])
    return columns.view("<f4")
