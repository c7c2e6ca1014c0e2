"""A rebuild in the background removes deleted nodes from HNSW; the stream does not wait for it."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import pytest

from index import rebuild
from index.entries import Analysed, Withdrawn
from index.exact import Distances
from index.face_index import FaceIndex
from index.hnsw import Hnsw
from index.parameters import Parameters
from tests.builders.analyses import Vectors, analysed, edges_in, in_batches, live, people, scans_of, true_edges

PARAMETERS = Parameters(exact_below=50, marked_share=0.25)


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Rebuilds wait for this before they insert anything."""
    go_on = threading.Event()
    add = Hnsw.add

    def add_later(
        graph: Hnsw, vectors: Vectors, offsets: Distances, slots: np.ndarray, threads: int | None = None
    ) -> None:
        if threading.current_thread().name == "index-rebuild" and not go_on.wait(timeout=20):
            raise TimeoutError("the rebuild was held back for too long")
        add(graph, vectors, offsets, slots, threads)

    monkeypatch.setattr(Hnsw, "add", add_later)
    return go_on


def test_after_a_rebuild_no_node_is_marked_and_every_pair_is_found() -> None:
    log: list[Analysed | Withdrawn] = [*scans_of(people(1_200, a_person=20))]
    index = FaceIndex(PARAMETERS)
    index.apply(log, search=False)
    gone = [Withdrawn(f"scan-{number}") for number in range(0, 600, 2)]
    index.apply(gone)
    index.finish_rebuild()
    assert index.hnsw is not None
    assert (index.hnsw.nodes, index.hnsw.marked) == (600, 0)
    remaining = live([*log, *gone])
    assert edges_in(index.search(remaining), remaining).keys() == true_edges(remaining).keys()


def test_a_rebuilt_graph_has_what_was_added_and_removed_meanwhile(held_back: threading.Event) -> None:
    vectors = people(1_600, a_person=20)
    log: list[Analysed | Withdrawn] = [*scans_of(vectors[:800], 1)]
    index = FaceIndex(PARAMETERS)
    published = [record for batch in in_batches(log, 100) for record in index.apply(batch)]
    log += [Withdrawn(f"scan-{number}") for number in range(300)]
    published += index.apply(log[800:])  # starts the rebuild
    meanwhile: list[Analysed | Withdrawn] = [
        analysed(2_000 + number, f"scan-{200 + number}", vectors[800 + number, None]) for number in range(700)
    ] + [Withdrawn(f"scan-{number}") for number in range(350, 880, 10)]
    for batch in in_batches(meanwhile, 50):
        published += index.apply(batch)
    assert index.rebuilding
    log += meanwhile
    held_back.set()
    index.finish_rebuild()
    assert index.hnsw is not None
    assert index.hnsw.live == index.faces == len(live(log))
    more = [analysed(5_000 + number, f"late-{number}", vectors[1_500 + number, None]) for number in range(100)]
    published += index.apply(more)
    log += more
    assert edges_in(published, live(log)).keys() == true_edges(live(log)).keys()


def test_the_next_batch_uses_the_new_graph_once_it_is_ready() -> None:
    index = FaceIndex(PARAMETERS)
    index.apply(scans_of(people(400, a_person=20), 1))
    index.apply([Withdrawn(f"scan-{number}") for number in range(200)])
    assert index.rebuilding
    for thread in threading.enumerate():
        if thread.name == "index-rebuild":
            thread.join(timeout=20)
    index.apply([])
    assert not index.rebuilding
    assert index.hnsw is not None
    assert index.hnsw.nodes == 200


def test_an_archive_analysed_many_times_takes_no_more_slots() -> None:
    index = FaceIndex(PARAMETERS)
    vectors = people(400, a_person=20)
    offset = 0
    for _ in range(12):
        for scan in range(0, 400, 40):
            index.apply([analysed(offset + row, f"scan-{row}", vectors[row, None]) for row in range(scan, scan + 40)])
            index.finish_rebuild()
        offset += 400
    assert index.faces == 400
    assert index.store.used < 600


def test_few_faces_left_are_searched_exactly_again() -> None:
    index = FaceIndex(PARAMETERS)
    index.apply(scans_of(people(200, a_person=20), 1))
    assert index.hnsw is not None
    index.apply([Withdrawn(f"scan-{number}") for number in range(170)])
    assert index.hnsw is None
    assert index.faces == 30


def test_a_closed_index_leaves_no_thread(held_back: threading.Event) -> None:
    index = FaceIndex(PARAMETERS)
    index.apply(scans_of(people(400, a_person=20), 1))
    index.apply([Withdrawn(f"scan-{number}") for number in range(200)])
    held_back.set()
    index.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "index-rebuild"]
    assert index.apply([Withdrawn("scan-300")])


def test_an_index_that_is_dropped_leaves_neither_thread_nor_vectors(held_back: threading.Event) -> None:
    index = FaceIndex(PARAMETERS)
    index.apply(scans_of(people(4_000, a_person=20), 1))
    index.apply([Withdrawn(f"scan-{number}") for number in range(1_500)])
    assert index.rebuilding
    store = weakref.ref(index.store)
    (thread,) = (it for it in threading.enumerate() if it.name == "index-rebuild")
    del index
    inserted: list[int] = []
    insert = rebuild.Rebuild._insert

    def counted(it: rebuild.Rebuild, slots: np.ndarray, threads: int) -> None:
        inserted.append(len(slots))
        insert(it, slots, threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild.Rebuild, "_insert", counted)
        held_back.set()
        thread.join(timeout=20)
    assert not thread.is_alive()
    assert not inserted, "it went on with the rest"
    assert store() is None


def test_the_failure_of_a_rebuild_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, threads: int) -> None:  # noqa: ARG001
        raise MemoryError("no memory for the new graph")

    index = FaceIndex(PARAMETERS)
    index.apply(scans_of(people(400, a_person=20), 1))
    monkeypatch.setattr(rebuild.Rebuild, "_insert", fail)
    index.apply([Withdrawn(f"scan-{number}") for number in range(200)])
    with pytest.raises(MemoryError, match="no memory"):
        index.finish_rebuild()
