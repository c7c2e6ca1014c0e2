"""The vectors that a saved HNSW graph holds, those of nodes that are marked deleted too.

hnswlib returns no vector of a deleted node, so its file is read: a header, and then for each node its links, its vector
and its label (hnswlib 0.8, `HierarchicalNSW::saveIndex` in hnswalg.h). The vectors are points in the layout of the
file beside it (layout.py); in a snapshot of format 1 they are whole embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from index.exact import Vectors
from index.snapshot import layout_of_graph

_HEADER_BYTES = 96
# Six numbers of the size of a pointer begin it.
_NODES, _NODE_BYTES, _LABEL_AT, _VECTOR_AT = 2, 3, 4, 5
# Each coordinate is moved by up to 1e-5 before a vector is inserted (index/hnsw.py): all together by a tenth of this.
_SAME = 1e-3


def holds(path: Path, embeddings: Iterable[bytes]) -> int:
    """How many nodes of the graph in this file are one of these embeddings (little-endian float32), or nearly so.

    Raises SnapshotRefused for a graph whose layout cannot be read.
    """
    all_wanted = [np.frombuffer(embedding, dtype="<f4") for embedding in embeddings]
    if not all_wanted:
        return 0
    layout = layout_of_graph(path.parent)
    points = _points(path)
    # Of a face there may be embeddings of several embedders; a graph has those of one.
    dimension = points.shape[1] if layout is None else len(layout.middle)
    wanted = [vector for vector in all_wanted if len(vector) == dimension]
    if layout is not None and wanted:
        # How far a face is set back is not known of an embedding alone.
        wanted, points = list(layout.points(np.stack(wanted))[:, :-1]), points[:, :-1]
    return sum(int((np.linalg.norm(points - vector, axis=1) < _SAME).sum()) for vector in wanted)


def _points(path: Path) -> Vectors:
    content = np.memmap(path, dtype=np.uint8, mode="r")
    numbers = np.frombuffer(content[:48].tobytes(), dtype="<u8").tolist()
    nodes, node_bytes = numbers[_NODES], numbers[_NODE_BYTES]
    # The label follows the vector, so a vector of any embedder is what is between.
    vector_at, vector_end = numbers[_VECTOR_AT], numbers[_LABEL_AT]
    rows = content[_HEADER_BYTES : _HEADER_BYTES + nodes * node_bytes].reshape(nodes, node_bytes)
    columns = np.ascontiguousarray(rows[:, vector_at:vector_end])
    return columns.view("<f4")
