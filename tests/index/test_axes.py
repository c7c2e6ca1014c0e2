"""Reduced faces are never farther apart than the faces are, and with dlib's embeddings nearly as far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from index.axes import Axes
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters
from tests.builders.analyses import Vectors, analysed, edges_in, people, scans_of, true_edges


def all_of(vectors: Vectors) -> Axes:
    return Axes.of(vectors, np.arange(len(vectors)))


def unlike(count: int, seed: int) -> Vectors:
    """Faces along axes of their own: float32, shape (count, 128)."""
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, 20)) @ generator.normal(scale=0.02, size=(20, 128))).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 50, 400])
@pytest.mark.parametrize("seed", [1, 2])
def test_reduced_faces_are_never_farther_apart_than_the_faces(count: int, seed: int) -> None:
    axes = all_of(unlike(count, seed))
    faces = np.concatenate([unlike(60, seed), unlike(60, seed + 10), people(60, a_person=5)])
    reduced = axes.reduced(faces)
    assert reduced.dtype == np.float32
    assert reduced.shape == (180, axes.dimension)
    assert (pdist(reduced.astype(np.float64)) <= pdist(faces.astype(np.float64)) + 1e-6).all()


def test_faces_like_those_that_the_axes_are_of_are_as_far_apart_as_before() -> None:
    faces = unlike(300, seed=3)
    reduced = all_of(faces[:200]).reduced(faces)
    assert reduced.shape[1] == 64
    assert pdist(reduced.astype(np.float64)) == pytest.approx(pdist(faces.astype(np.float64)), abs=1e-5)


@pytest.mark.parametrize(("dimension", "reduced"), [(1, 1), (8, 8), (20, 16), (128, 112), (512, 480)])
def test_where_all_axes_hold_as_much_nearly_all_are_kept(dimension: int, reduced: int) -> None:
    faces = np.random.default_rng(4).normal(size=(6_000, dimension)).astype(np.float32)
    axes = all_of(faces)
    assert reduced <= axes.dimension <= dimension
    again = axes.reduced(faces[:50]).astype(np.float64)
    assert (pdist(again) <= pdist(faces[:50].astype(np.float64)) * (1 + 1e-6)).all()


def test_bit_identical_faces_have_axes_too() -> None:
    axes = all_of(np.repeat(people(1, a_person=1), 100, axis=0))
    assert axes.dimension == 64
    assert np.isfinite(axes.reduced(people(10, a_person=5))).all()


def test_of_the_numbers_of_dlibs_embedder_half_are_enough(shared_data: Path) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as content:
        faces = content["E"].astype(np.float32)
    axes = all_of(faces[::2])
    assert axes.dimension == 64
    whole, reduced = (pdist(part[1:1000:2].astype(np.float64)) for part in (faces, axes.reduced(faces)))
    assert np.median(reduced / whole) > 0.97


def test_axes_are_the_same_after_they_were_saved() -> None:
    axes = all_of(people(100, a_person=5))
    again = Axes.of_array(axes.array())
    faces = people(30, a_person=3)
    assert (again.reduced(faces) == axes.reduced(faces)).all()


def test_faces_unlike_those_that_a_graph_began_with_are_found() -> None:
    index = FaceIndex(Parameters(exact_below=50))
    log: list[Analysed] = scans_of(unlike(200, seed=5), 1)
    later = np.concatenate([people(400, a_person=20), unlike(100, seed=6)])
    log += [analysed(1_000 + row, f"later-{row}", later[row, None]) for row in range(len(later))]
    for start in range(0, len(log), 100):
        index.apply(log[start : start + 100])
    assert index.hnsw is not None
    assert edges_in(index.search(log), log).keys() == true_edges(log).keys()
