"""After an erasure neither the arrays, nor the graph, nor a snapshot of an index has a vector that was dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hnswlib
import numpy as np
import pytest

from errors import SnapshotRefused
from index.entries import Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from index.snapshot import delete_all_but, load, save
from index.vectors_left import holds
from tests.builders.analyses import people, scans_of
from tests.builders.references import reference

EXACT = Parameters()
HNSW = replace(EXACT, exact_below=50, threads=1)
VECTORS = people(400, a_person=20)


def filled(parameters: Parameters) -> tuple[FaceIndex, list[bytes]]:
    """An index, and the embeddings of the scans that were withdrawn from it."""
    index = FaceIndex(parameters)
    scans = scans_of(VECTORS)
    index.apply(scans)
    gone = scans[10:14]
    index.apply([Withdrawn(entry.scan_id) for entry in gone])
    return index, [face.embedding for entry in gone for face in entry.scan.faces]


@pytest.mark.parametrize("parameters", [EXACT, HNSW])
def test_snapshots_have_no_vector_that_was_dropped(parameters: Parameters, tmp_path: Path) -> None:
    index, embeddings = filled(parameters)
    before = index.search(scans_of(VECTORS)[:5], exactly=True)
    older = save(index, tmp_path, offset=500)
    index.drop_for_good()
    path = save(index, tmp_path, offset=501)
    delete_all_but(path)
    assert not older.exists()
    content = (path / "vectors.npy").read_bytes()
    assert not any(embedding in content for embedding in embeddings)
    if parameters is HNSW:
        assert holds(path / "graph.hnsw", embeddings) == 0
        assert holds(path / "graph.hnsw", [VECTORS[0].astype("<f4").tobytes()]) == 1
    restored = load(tmp_path, parameters).index
    assert restored.search(scans_of(VECTORS)[:5], exactly=True) == before


def test_a_graph_has_the_vectors_of_deleted_nodes_until_then(tmp_path: Path) -> None:
    index, embeddings = filled(HNSW)
    graph = save(index, tmp_path, offset=500) / "graph.hnsw"
    assert holds(graph, embeddings) == len(embeddings)
    assert all(embedding not in graph.read_bytes() for embedding in embeddings), "they were moved a little"


# Of a snapshot that is only begun there is no manifest yet, and so no checksum that a flipped bit could contradict.
@pytest.mark.parametrize(
    ("damage", "begun"), [("gone", False), ("cut", False), ("flipped", False), ("gone", True), ("cut", True)]
)
def test_a_graph_without_its_layout_cannot_be_searched(damage: str, begun: bool, tmp_path: Path) -> None:
    index, embeddings = filled(HNSW)
    path = save(index, tmp_path, offset=500)
    layout = path / "layout.npy"
    content = layout.read_bytes()
    if damage == "gone":
        layout.unlink()
    else:
        layout.write_bytes(content[:999] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    if begun:
        (path / "manifest.json").unlink()
    with pytest.raises(SnapshotRefused, match=r"layout.npy"):
        holds(path / "graph.hnsw", embeddings)


def test_a_graph_that_is_deleted_meanwhile_is_no_longer_there(tmp_path: Path) -> None:
    index, embeddings = filled(HNSW)
    path = save(index, tmp_path, offset=500)
    for file in path.iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError):
        holds(path / "graph.hnsw", embeddings)


def test_a_graph_of_an_older_version_is_searched_for_whole_vectors(tmp_path: Path) -> None:
    path = save(FaceIndex(EXACT), tmp_path, offset=500)
    whole = hnswlib.Index("l2", 128)
    whole.init_index(max_elements=400)
    whole.add_items(VECTORS + np.float32(1e-6))
    whole.save_index(str(path / "graph.hnsw"))
    _, embeddings = filled(HNSW)
    assert holds(path / "graph.hnsw", embeddings) == len(embeddings)
    assert holds(path / "graph.hnsw", [np.ones(512, dtype="<f4").tobytes()]) == 0


def test_offsets_of_dropped_faces_are_not_kept() -> None:
    index, _ = filled(replace(HNSW, reference=reference(VECTORS[:50])))
    store = index.store
    assert store.offsets[~store.live].tolist() == [0.0] * int((~store.live).sum())
    assert (store.offsets[store.live_slots()] != 0).all()


def test_an_index_goes_on_after_an_erasure() -> None:
    index, _ = filled(HNSW)
    index.drop_for_good()
    index.drop_for_good()
    twin, _ = filled(EXACT)
    later = [replace(entry, analysis=entry.analysis + 1000) for entry in scans_of(VECTORS)[10:14]]
    assert [len(found.faces) for found in index.apply(later)] == [len(found.faces) for found in twin.apply(later)]  # type: ignore[union-attr]
    assert index.faces == twin.faces
    assert np.isfinite(index.store.vectors[: index.store.used]).all()
