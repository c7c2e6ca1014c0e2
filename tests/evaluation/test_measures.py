"""Each measure is scikit-learn's on the same labels; those that it lacks are what their definitions say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.cluster import DBSCAN

from clustering.clustering import Clustering, Parameters
from clustering.what_if import hypothetical_clusters
from evaluation.measures import measure
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from schemas.neighbours import NeighboursFound
from tests.builders.analyses import one_face_scan

PEOPLE = ["ann", "ann", "ann", "bob", "bob", "cid", "dot", "dot", "dot", "dot"]
CLUSTERS = ["1", "1", "2", "2", "2", "3", "4", "4", "5", None]
NUMBERS = [1, 1, 2, 2, 2, 3, 4, 4, 5, 6]

Faces = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12345")), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("homogeneity", metrics.homogeneity_score),
        ("completeness", metrics.completeness_score),
        ("v_measure", metrics.v_measure_score),
        ("ari", metrics.adjusted_rand_score),
        ("ami", metrics.adjusted_mutual_info_score),
    ],
)
def test_a_measure_is_that_of_scikit_learn(name: str, theirs: Callable[[object, object], float]) -> None:
    assert getattr(measure(PEOPLE, CLUSTERS), name) == pytest.approx(theirs(PEOPLE, NUMBERS), abs=1e-12)


def test_pairs_are_counted_as_scikit_learn_counts_them() -> None:
    """A pair is a positive where both faces are of one person, and is found where both are in one cluster."""
    pairs = list(combinations(range(len(PEOPLE)), 2))
    true = [PEOPLE[one] == PEOPLE[other] for one, other in pairs]
    found = [NUMBERS[one] == NUMBERS[other] for one, other in pairs]
    ours = measure(PEOPLE, CLUSTERS)
    assert ours.pair_precision == pytest.approx(metrics.precision_score(true, found), abs=1e-12)
    assert ours.pair_recall == pytest.approx(metrics.recall_score(true, found), abs=1e-12)
    assert ours.pair_f == pytest.approx(metrics.f1_score(true, found), abs=1e-12)


def bcubed(people: Sequence[str], clusters: Sequence[object]) -> tuple[float, float]:
    """By the definition: for each face, the share of its cluster that is its person, and of its person in there."""
    precision, recall = [], []
    for person, cluster in zip(people, clusters, strict=True):
        inside = [other for other, its in zip(people, clusters, strict=True) if its == cluster]
        precision.append(inside.count(person) / len(inside))
        recall.append(inside.count(person) / list(people).count(person))
    return float(np.mean(precision)), float(np.mean(recall))


def test_bcubed_is_the_mean_over_faces_of_what_their_clusters_hold() -> None:
    ours = measure(PEOPLE, CLUSTERS)
    precision, recall = bcubed(PEOPLE, NUMBERS)
    assert ours.bcubed_precision == pytest.approx(precision, abs=1e-12)
    assert ours.bcubed_recall == pytest.approx(recall, abs=1e-12)
    assert ours.bcubed_f == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-12)


def test_bcubed_of_an_example_worked_out_by_hand() -> None:
    people = list("aaaab") + list("bbcc") + list("aaabc")
    clusters = list("11111") + list("2222") + list("33333")
    ours = measure(people, clusters)
    assert ours.bcubed_precision == pytest.approx((16 / 5 + 1 / 5 + 4 / 4 + 4 / 4 + 9 / 5 + 1 / 5 + 1 / 5) / 14)
    assert ours.bcubed_recall == pytest.approx((16 / 7 + 9 / 7 + 1 / 4 + 4 / 4 + 1 / 4 + 4 / 3 + 1 / 3) / 14)


@given(Faces)
@settings(max_examples=200, deadline=None)
def test_any_labels_are_measured_as_scikit_learn_measures_them(faces: list[tuple[str, str]]) -> None:
    people, clusters = [person for person, _ in faces], [cluster for _, cluster in faces]
    ours = measure(people, clusters)
    theirs = metrics.homogeneity_completeness_v_measure(people, clusters)
    assert (ours.homogeneity, ours.completeness, ours.v_measure) == pytest.approx(theirs, abs=1e-12)
    assert ours.ari == pytest.approx(metrics.adjusted_rand_score(people, clusters), abs=1e-12)
    assert ours.ami == pytest.approx(metrics.adjusted_mutual_info_score(people, clusters), abs=1e-12)
    assert (ours.bcubed_precision, ours.bcubed_recall) == pytest.approx(bcubed(people, clusters), abs=1e-12)
    assert ours.clusters == len(set(clusters))


def test_a_face_in_no_cluster_is_one_of_its_own() -> None:
    assert measure(["a", "a"], [None, None]).clusters == 2
    assert measure(["a", "b"], [None, None]).pair_precision == 1


def test_where_no_pair_is_together_or_should_be_precision_and_recall_are_full() -> None:
    apart = measure(["a", "b"], ["1", "2"])
    assert (apart.pair_precision, apart.pair_recall, apart.ari) == (1, 1, 1)


def test_measuring_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one of each is needed"):
        measure([], [])


def test_the_reference_embeddings_have_the_figures_of_scikit_learn(shared_data: Path) -> None:
    """shared/data/README.md: scikit-learn's DBSCAN on the embeddings of the set `lfw`, at eps 0.42."""
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as loaded:
        vectors, files = loaded["E"][:2838], [str(name) for name in loaded["F"][:2838]]
    clusters = DBSCAN(eps=0.42, min_samples=1).fit_predict(vectors.astype(np.float64))
    ours = measure([name.split("/")[0] for name in files], [str(cluster) for cluster in clusters])
    figures = (ours.completeness, ours.homogeneity, ours.ari, ours.ami, ours.v_measure)
    assert [round(figure, 3) for figure in figures] == [0.949, 0.998, 0.927, 0.879, 0.973]


@pytest.mark.slow
def test_the_product_clusters_the_reference_embeddings_as_scikit_learn_does(shared_data: Path) -> None:
    """The same figures from the product's index and clustering."""
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as loaded:
        vectors, files = loaded["E"][:2838], [str(name) for name in loaded["F"][:2838]]
    index = FaceIndex(IndexParameters(exact_below=10_000))
    clustering = Clustering(Parameters(eps=0.37))
    for start in range(0, len(files), 256):
        batch = [
            Analysed(number, one_face_scan(number, vectors[number]))
            for number in range(start, min(start + 256, len(files)))
        ]
        clustering.apply([found for found in index.apply(batch) if isinstance(found, NeighboursFound)])
    found = hypothetical_clusters(clustering, 0.42)
    cluster_of = dict(zip(found.face_ids, found.cluster_ids, strict=True))
    people = [name.split("/")[0] for name in files]
    ours = measure(people, [cluster_of[f"face-{number:04}"] for number in range(len(people))])
    figures = (ours.completeness, ours.homogeneity, ours.ari, ours.ami, ours.v_measure)
    assert [round(figure, 3) for figure in figures] == [0.949, 0.998, 0.927, 0.879, 0.973]
