"""How a reference is drawn from an archive, without any labels: a function of its faces alone.

A reference should hold strangers, and each person once: with several faces of one person, that person's other faces
would be compared with themselves. So a sample is grouped by people first, roughly, and one face of each group is taken.

1. Three rounds of grouping by Euclidean distance. The reach is the distance that a share STRANGERS of the pairs of one
   face of each group is within. Pairs of one person among them only make it stricter, so it opens as groups form.
2. A stricter grouping: what is together there counts as one person from then on.
3. Four rounds with banks, drawn from the groups of the round before, joined with those of step 2. The nearest of a bank
   are skipped less and less, as fewer of them are the face's own person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calibration.builtin import builtin_reference
from calibration.distances import Distances, Vectors, block_distances
from calibration.reference import SKIPPED, STRANGERS, Reference, raw_offsets
from calibration.rounds import Groups, Rule, edges_within, group
from schemas import defaults

# Fewer faces have too few pairs to show how near strangers come.
FEWEST_FACES = 300
LARGEST_SAMPLE = 10_000
# Of the pairs of faces, so many may be near each other by the built-in reference. The nearest STRANGERS of the pairs
# have to be of strangers, once faces are grouped. With more pairs of one person grouping does not begin.
MOST_NEAR_PAIRS = 3e-3
_NEAR = 0.45
# In an archive of up to so many faces the level is that of the reference itself. In a larger one it is as much stricter
# as keeps the number of strangers near a face the same, and a third more: people are larger there, and two that are
# joined by mistake make more wrong pairs.
SMALL_ARCHIVE = 5_000
_STRICTER_BY_SIZE = 4 / 3

_ROWS_AT_ONCE = 1000
_BANKS, _SMALLEST_BANK, _LARGEST_BANK = 2, 320, 640
_SKIPPED_BY_ROUND = (4, 2, 2, SKIPPED)
_RAW_ROUNDS = 3
_FACES_FOR_REACH = 2000
_RAW_EVIDENCE, _STRICTER, _EVIDENCE, _SHORTER = 0.12, 0.06, 0.09, 0.01
_RELATIVE, _RELATIVE_STRICT = 0.35, 0.5
# The tail of the distances of strangers is measured between this share of the pairs and STRANGERS.
_TAIL = 2e-4
_LARGEST_OFFSET = 0.99

Progress = Callable[[int, int], None]
"""Called with the steps done and all steps."""


def sample(face_ids: Sequence[str], most: int = LARGEST_SAMPLE) -> Groups:
    """The positions of up to `most` faces, by the SHA-256 of their ids: the same faces, whatever order they came in."""
    ranks = sorted(range(len(face_ids)), key=lambda position: hashlib.sha256(face_ids[position].encode()).digest())
    return np.array(ranks[:most], dtype=np.int64)


def draw(
    embeddings: Vectors,
    archive_faces: int | None = None,
    progress: Progress = lambda _done, _all: None,
    unit: float = 1.0,
) -> Reference:
    """The reference of these faces, float32 of shape (n, d), in the order of `sample`.

    archive_faces: of the archive that they are a sample of. unit: how many times as long the embedder's distances are
    as those of dlib's, see Reference. Takes seconds, with the square of n. Raises ValueError for fewer than
    FEWEST_FACES, and where there are too few people: most pairs that are near would be of one person.
    """
    n = len(embeddings)
    if n < FEWEST_FACES:
        raise ValueError(f"a reference is drawn from at least {FEWEST_FACES} faces, not {n}")
    vectors = embeddings if unit == 1.0 else embeddings / np.float32(unit)
    near = _near_pairs(vectors, by_builtin=unit == 1.0)
    if near > MOST_NEAR_PAIRS:
        raise ValueError(
            f"there are too few people: {near:.1%} of the pairs of faces look like one person, "
            f"and at most {MOST_NEAR_PAIRS:.1%} may"
        )
    steps = _RAW_ROUNDS + 1 + len(_SKIPPED_BY_ROUND)
    nothing = np.zeros(n)
    groups = np.arange(n)
    for done in range(_RAW_ROUNDS):
        progress(done, steps)
        reach = _raw_reach(vectors, groups)
        groups = group(n, edges_within(vectors, nothing, reach), Rule(reach, _RAW_EVIDENCE, _RELATIVE))
    progress(_RAW_ROUNDS, steps)
    strict = _raw_reach(vectors, groups) - _STRICTER
    certain = group(n, edges_within(vectors, nothing, strict), Rule(strict, _RAW_EVIDENCE, _RELATIVE_STRICT))
    banks = _banks(groups)
    for done, skipped in enumerate(_SKIPPED_BY_ROUND, _RAW_ROUNDS + 1):
        progress(done, steps)
        offsets = raw_offsets(vectors, tuple(vectors[bank] for bank in banks), skipped)
        if skipped != SKIPPED:
            reach = float(np.mean([_stranger_quantile(vectors, offsets, bank, STRANGERS) for bank in banks])) - _SHORTER
            groups = group(n, edges_within(vectors, offsets, reach), Rule(reach, _EVIDENCE, _RELATIVE))
            banks = _banks(_joined(certain, groups))
    progress(steps, steps)
    drawn = _reference(vectors, offsets, banks, archive_faces or n)
    if unit == 1.0:
        return drawn
    return replace(drawn, banks=tuple(np.ascontiguousarray(embeddings[bank]) for bank in banks), unit=unit)


def _near_pairs(vectors: Vectors, *, by_builtin: bool) -> float:
    """The share of the pairs of these faces that are near by the built-in reference; else by Euclidean distance."""
    n = len(vectors)
    offsets = builtin_reference().offsets(vectors) if by_builtin else np.zeros(n)
    within = _NEAR if by_builtin else defaults.EPS
    near = -n
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        distances = block_distances(vectors[rows], vectors) - (offsets[rows, None] + offsets[None]) / 2
        near += int((distances <= within).sum())
    return near / (n * (n - 1))


def _reference(vectors: Vectors, offsets: Distances, banks: Sequence[Groups], archive_faces: int) -> Reference:
    level, tail = (
        float(np.mean([_stranger_quantile(vectors, offsets, bank, share) for bank in banks]))
        for share in (STRANGERS, _TAIL)
    )
    slope = max((level - tail) / float(np.log(STRANGERS / _TAIL)), 1e-3)
    return Reference(
        banks=tuple(np.ascontiguousarray(vectors[bank]) for bank in banks),
        level=level - _STRICTER_BY_SIZE * slope * max(0.0, float(np.log(archive_faces / SMALL_ARCHIVE))),
        largest_offset=float(np.quantile(offsets[np.concatenate(banks)], _LARGEST_OFFSET)),
        slope=slope,
        sampled=len(vectors),
        archive_faces=archive_faces,
    )


def _raw_reach(vectors: Vectors, groups: Groups) -> float:
    """The Euclidean distance that a share STRANGERS of the pairs of one face a group is within."""
    firsts = np.sort(np.unique(groups, return_index=True)[1])[:_FACES_FOR_REACH]
    return _stranger_quantile(vectors, np.zeros(len(vectors)), firsts, STRANGERS)


def _stranger_quantile(vectors: Vectors, offsets: Distances, faces: Groups, share: float) -> float:
    """The distance, less the mean of the offsets, that this share of the pairs of these faces is within."""
    own = offsets[faces]
    distances = block_distances(vectors[faces], vectors[faces]) - (own[:, None] + own[None]) / 2
    pairs = distances[np.triu_indices(len(faces), 1)]
    position = int(len(pairs) * share)
    return float(np.partition(pairs, position)[position])


def _banks(groups: Groups) -> list[Groups]:
    """Sets of faces, one a group, groups of two faces or more first, in the order of the sample.

    Of a group each bank takes another face, as far as there are several. Groups of one face may be strays of a person
    who has a group, so only as many of them are taken as make up the smallest bank.
    """
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    members = np.argsort(number, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    order = np.lexsort((members[starts], sizes < 2))
    several = int((sizes >= 2).sum())
    size = min(max(several, _SMALLEST_BANK), _LARGEST_BANK, len(order))
    banks = []
    for bank in range(_BANKS):
        chosen = order[:size]
        if several < size:
            needed = size - several
            chosen = np.concatenate([order[:several], np.roll(order[several:], -bank * needed)[:needed]])
        banks.append(members[starts[chosen] + bank % sizes[chosen]])
    return banks


def _joined(one: Groups, other: Groups) -> Groups:
    """The finest grouping in which whoever is together in either is together."""
    n = len(one)
    ends = np.concatenate([np.arange(n), np.arange(n)]), np.concatenate([one, other])
    graph = coo_array((np.ones(2 * n, dtype=np.int8), ends), (n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
