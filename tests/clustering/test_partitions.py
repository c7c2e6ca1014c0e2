"""What differs between two clusterings, against scikit-learn and against counting pairs."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from clustering.partitions import Cell, difference, heirs

Partition = list[str | None]


def cells_of(one: Partition, other: Partition) -> list[Cell]:
    counted = Counter(zip(one, other, strict=True))
    first = {pair: f"f{number:03}" for number, pair in reversed([*enumerate(zip(one, other, strict=True))])}
    return [Cell(*pair, faces, first[pair]) for pair, faces in counted.items()]


def as_labels(partition: Partition) -> list[str]:
    return [f"noise {number}" if cluster is None else cluster for number, cluster in enumerate(partition)]


partitions = st.lists(st.tuples(*[st.sampled_from([None, "a", "b", "c"])] * 2), min_size=1, max_size=12)


@given(partitions)
def test_the_index_and_the_pairs_are_those_of_all_pairs_of_faces(faces: list[tuple[str | None, str | None]]) -> None:
    one, other = [pair[0] for pair in faces], [pair[1] for pair in faces]
    found = difference(cells_of(one, other))
    labels = as_labels(one), as_labels(other)
    assert abs(found.ari - adjusted_rand_score(*labels)) < 1e-9
    together = [
        {pair for pair in combinations(range(len(faces)), 2) if labels_of[pair[0]] == labels_of[pair[1]]}
        for labels_of in labels
    ]
    assert found.pairs_joined == len(together[1] - together[0])
    assert found.pairs_parted == len(together[0] - together[1])
    same_noise = [cluster is None for cluster in one] == [cluster is None for cluster in other]
    assert (found.moved == 0) == (together[0] == together[1] and same_noise)


@given(partitions)
def test_a_clustering_does_not_differ_from_itself_whatever_its_clusters_are_called(
    faces: list[tuple[str | None, str | None]],
) -> None:
    one = [pair[0] for pair in faces]
    renamed = [None if cluster is None else f"x{cluster}" for cluster in one]
    for other in (one, renamed):
        found = difference(cells_of(one, other))
        assert (found.ari, found.pairs_joined, found.pairs_parted) == (1, 0, 0)
        assert (found.moved, found.merged, found.split) == (0, 0, 0)


def test_merged_and_split_clusters_are_counted_and_the_smaller_part_moves() -> None:
    one: Partition = ["a", "a", "a", "b", "c", "c", "c", None]
    other: Partition = ["a", "a", "a", "a", "c", "c", "d", "d"]
    found = difference(cells_of(one, other))
    assert (found.merged, found.split) == (1, 1)
    # b into a; one of c into d; what was noise into d. The cluster d is new: it is the counterpart of none.
    assert found.moved == 3


def test_the_heir_of_a_cluster_has_most_of_its_faces() -> None:
    one: Partition = ["a", "a", "a", "b", "b", "c", "c", "n"]
    other: Partition = ["x", "x", "a", "b", "x", "d", "e", None]
    # Of two with as many faces, the one of the same name, else the smallest.
    assert heirs(cells_of(one, other)) == {"a": "x", "b": "b", "c": "d"}
