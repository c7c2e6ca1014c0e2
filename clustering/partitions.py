"""How two clusterings of the same faces differ. Pure: from the number of faces in each pair of their clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """The faces that are in the cluster `one` of the first clustering and `other` of the second; None: noise.

    face_id: one of them.
    """

    one: str | None
    other: str | None
    faces: int
    face_id: str


@dataclass(frozen=True)
class Difference:
    """What differs between two clusterings of `faces` faces.

    ari: the adjusted Rand index (Hubert and Arabie 1985), 1 where nothing differs; each face of noise is a cluster of
    its own there. pairs_joined, pairs_parted: pairs of faces in one cluster of the second alone, and of the first
    alone. moved: the faces that are not in a cluster with its counterpart, which of all clusters shares the most faces
    with it, as it does in return; and those that are noise in one alone. merged: the clusters of the second with faces
    from several of the first. split: the clusters of the first with faces in several of the second.
    """

    faces: int
    ari: float
    pairs_joined: int
    pairs_parted: int
    moved: int
    merged: int
    split: int


def difference(cells: Sequence[Cell]) -> Difference:
    """What differs, from all pairs of clusters that share a face."""
    ones, others = _sizes((cell.one, cell.faces) for cell in cells), _sizes((cell.other, cell.faces) for cell in cells)
    both = sum(_pairs(cell.faces) for cell in cells if cell.one is not None and cell.other is not None)
    in_one, in_other = sum(map(_pairs, ones.values())), sum(map(_pairs, others.values()))
    faces = sum(cell.faces for cell in cells)
    shared_ones = Counter(cell.one for cell in cells if cell.one is not None and cell.other is not None)
    shared_others = Counter(cell.other for cell in cells if cell.one is not None and cell.other is not None)
    return Difference(
        faces=faces,
        ari=_adjusted_rand_index(both, in_one, in_other, _pairs(faces)),
        pairs_joined=in_other - both,
        pairs_parted=in_one - both,
        moved=faces - sum(cell.faces for cell in counterparts(cells)) - _noise_in_both(cells),
        merged=sum(number > 1 for number in shared_others.values()),
        split=sum(number > 1 for number in shared_ones.values()),
    )


def counterparts(cells: Iterable[Cell]) -> list[Cell]:
    """The cells of two clusters each of which shares more faces with the other one than with any else.

    Of cells of one size that of clusters with one id counts, then that with the smallest ids.
    """
    by_one: dict[str, Cell] = {}
    by_other: dict[str, Cell] = {}
    for cell in cells:
        if cell.one is not None and cell.other is not None:
            for best, key in ((by_one, cell.one), (by_other, cell.other)):
                if key not in best or _rank(cell) < _rank(best[key]):
                    best[key] = cell
    return [cell for cell in by_one.values() if cell.other is not None and by_other[cell.other] is cell]


def heirs(cells: Iterable[Cell]) -> dict[str, str]:
    """For each cluster of the first clustering, the one of the second that has the most of its faces.

    Of several with as many, that with the same id, then that with the smallest. A cluster of which all faces are noise
    now has none.
    """
    best: dict[str, Cell] = {}
    for cell in cells:
        is_heir = cell.one is not None and cell.other is not None
        if is_heir and (str(cell.one) not in best or _rank(cell) < _rank(best[str(cell.one)])):
            best[str(cell.one)] = cell
    return {one: str(cell.other) for one, cell in best.items()}


def _rank(cell: Cell) -> tuple[int, bool, str, str]:
    return -cell.faces, cell.one != cell.other, str(cell.one), str(cell.other)


def _sizes(faces: Iterable[tuple[str | None, int]]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for cluster_id, number in faces:
        if cluster_id is not None:
            sizes[cluster_id] += number
    return sizes


def _noise_in_both(cells: Iterable[Cell]) -> int:
    return sum(cell.faces for cell in cells if cell.one is None and cell.other is None)


def _pairs(faces: int) -> int:
    return faces * (faces - 1) // 2


def _adjusted_rand_index(both: int, in_one: int, in_other: int, pairs: int) -> float:
    expected = in_one * in_other / pairs if pairs else 0.0
    largest = (in_one + in_other) / 2
    # Both have one cluster, or both have none: they are the same then.
    return 1.0 if largest == expected else (both - expected) / (largest - expected)
