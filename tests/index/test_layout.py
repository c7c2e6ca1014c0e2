"""The points of faces in a graph: no neighbour is farther from a query than its limit, and strangers are not nearer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from index.entries import Analysed
from index.exact import Distances
from index.face_index import FaceIndex
from index.layout import Layout
from index.parameters import Parameters
from tests.builders.analyses import Vectors, album, analysed, edges_in, people, scans_of, true_edges
from tests.builders.references import reference

_NO_LIMITS: Distances = np.empty(0, dtype=np.float64)


def unlike(count: int, seed: int) -> Vectors:
    """Faces along axes of their own: float32, shape (count, 128)."""
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, 20)) @ generator.normal(scale=0.02, size=(20, 128))).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 50, 400])
@pytest.mark.parametrize("seed", [1, 2])
def test_points_are_never_farther_apart_than_the_faces(count: int, seed: int) -> None:
    layout = Layout.of(unlike(count, seed), _NO_LIMITS)
    faces = np.concatenate([unlike(60, seed), unlike(60, seed + 10), people(60, a_person=5)])
    points = layout.points(faces)
    assert points.dtype == np.float32
    assert points.shape == (180, layout.dimension)
    assert (pdist(points.astype(np.float64)) <= pdist(faces.astype(np.float64)) + 1e-6).all()


def test_points_of_faces_like_those_that_the_layout_is_of_are_as_far_apart() -> None:
    faces = unlike(300, seed=3)
    points = Layout.of(faces[:200], _NO_LIMITS).points(faces)
    assert points.shape[1] == 64
    assert pdist(points.astype(np.float64)) == pytest.approx(pdist(faces.astype(np.float64)), abs=1e-5)


@pytest.mark.parametrize(("dimension", "least"), [(1, 2), (8, 9), (20, 16), (128, 112), (512, 480)])
def test_where_all_axes_hold_as_much_nearly_all_are_kept(dimension: int, least: int) -> None:
    faces = np.random.default_rng(4).normal(size=(6_000, dimension)).astype(np.float32)
    layout = Layout.of(faces, _NO_LIMITS)
    assert least <= layout.dimension <= dimension + 1
    points = layout.points(faces[:50]).astype(np.float64)
    assert (pdist(points) <= pdist(faces[:50].astype(np.float64)) * (1 + 1e-6)).all()


def test_bit_identical_faces_have_a_layout_too() -> None:
    layout = Layout.of(np.repeat(people(1, a_person=1), 100, axis=0), np.full(100, 0.5))
    assert layout.dimension == 64
    assert np.isfinite(layout.points(people(10, a_person=5), np.full(10, 0.1))).all()


def test_a_few_broken_embeddings_move_nobody_else() -> None:
    faces = people(400, a_person=10)
    faces[:30] = 1_000
    layout = Layout.of(faces, _NO_LIMITS)
    points = layout.points(faces[30:])
    assert np.linalg.norm(points, axis=1).max() < 3
    assert (pdist(points.astype(np.float64)) <= pdist(faces[30:].astype(np.float64)) + 1e-6).all()


@pytest.mark.parametrize(
    "of_faces", [slice(None), slice(1), slice(0), slice(0, 200, 7)], ids=["all", "one", "no", "few"]
)
@pytest.mark.parametrize("unit", [1.0, 2.0])
def test_neighbours_are_within_the_limit_of_a_query(of_faces: slice, unit: float) -> None:
    faces = album(200, a_person=5).vectors
    generator = np.random.default_rng(5)
    parameters = Parameters(eps_max=0.5, reference=reference(faces[:20], largest_offset=0.4))
    offsets = np.where(generator.random(200) < 0.1, -0.9, generator.uniform(-0.4, -0.1, 200))
    limits, shortfalls = unit * parameters.limits(offsets), unit * parameters.shortfalls(offsets)
    assert (shortfalls >= 0).all()
    assert (limits == 0).any(), "of a face with such an offset nobody is a neighbour"
    layout = Layout.of(faces[of_faces], limits[of_faces])
    apart = cdist(layout.points(faces).astype(np.float64), layout.points(faces, shortfalls).astype(np.float64))
    near = cdist(faces.astype(np.float64), faces.astype(np.float64)) <= limits[:, None] - shortfalls[None]
    assert near.sum() > 200
    assert (apart <= layout.within(limits)[:, None] + 1e-5)[near].all()


def test_of_those_within_the_limit_most_that_reach_less_far_are_set_back_beyond_it() -> None:
    faces = album(600, a_person=5).vectors
    parameters = Parameters(eps_max=0.44, reference=reference(faces[::5], level=-0.01, largest_offset=0.7))
    known = parameters.reference
    assert known is not None
    offsets = known.offsets(faces)
    limits = parameters.limits(offsets)
    layout = Layout.of(faces, limits)
    queries, points = layout.points(faces), layout.points(faces, parameters.shortfalls(offsets))
    reduced, apart = cdist(queries, queries), cdist(queries, points)
    neighbours = cdist(faces, faces) - (offsets[:, None] + offsets[None]) / 2 <= parameters.eps_max
    before, after = reduced <= limits[:, None], apart <= layout.within(limits)[:, None]
    assert neighbours.sum() <= after.sum() < (before.sum() + neighbours.sum()) / 2


def test_of_the_numbers_of_dlibs_embedder_half_are_enough(shared_data: Path) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as content:
        faces = content["E"].astype(np.float32)
    layout = Layout.of(faces[::2], _NO_LIMITS)
    assert layout.dimension == 64
    whole, points = (pdist(part[1:1000:2].astype(np.float64)) for part in (faces, layout.points(faces)))
    assert np.median(points / whole) > 0.97


def test_a_layout_is_the_same_after_it_was_saved() -> None:
    layout = Layout.of(people(100, a_person=5), np.full(100, 0.4))
    again = Layout.of_array(layout.array())
    faces = people(30, a_person=3)
    shortfalls = np.linspace(0, 0.5, 30)
    assert again.dimension == layout.dimension
    assert (again.points(faces, shortfalls) == layout.points(faces, shortfalls)).all()
    assert (again.within(shortfalls) == layout.within(shortfalls)).all()


def test_faces_unlike_those_that_a_graph_began_with_are_found() -> None:
    index = FaceIndex(Parameters(exact_below=50))
    log: list[Analysed] = scans_of(unlike(200, seed=5), 1)
    later = np.concatenate([people(400, a_person=20), unlike(100, seed=6)])
    log += [analysed(1_000 + row, f"later-{row}", later[row, None]) for row in range(len(later))]
    for start in range(0, len(log), 100):
        index.apply(log[start : start + 100])
    assert index.hnsw is not None
    assert edges_in(index.search(log), log).keys() == true_edges(log).keys()
