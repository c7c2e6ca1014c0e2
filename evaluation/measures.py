"""The measures of a clustering whose people are known: those of scikit-learn, and BCubed.

people and clusters have one entry a face. A face in no cluster (noise, None) is a cluster of its own. All are 1 where
every cluster is a person; ari and ami are about 0 for clusters at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, homogeneity_completeness_v_measure
from sklearn.metrics.cluster import contingency_matrix, pair_confusion_matrix

Numbers = npt.NDArray[np.int64]
"""The number of each face's person or cluster: shape (faces,)."""


@dataclass(frozen=True)
class Measures:
    """The measures of one clustering.

    homogeneity, completeness, v_measure: Rosenberg and Hirschberg 2007. ari: the adjusted Rand index (Hubert and Arabie
    1985). ami: the adjusted mutual information, over the mean of both entropies (Vinh et al. 2010). pair_…: of the
    pairs of faces that are together (Manning et al. 2008, section 16.3); precision is 1 where none is, recall where no
    person has two faces. bcubed_…: the mean over faces of the precision and the recall of each face's cluster (Bagga
    and Baldwin 1998; Amigó et al. 2009). clusters, largest: the number of clusters and of faces in the largest one.
    """

    homogeneity: float
    completeness: float
    v_measure: float
    ari: float
    ami: float
    pair_precision: float
    pair_recall: float
    pair_f: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    clusters: int
    largest: int


def measure(people: Sequence[str], clusters: Sequence[str | None]) -> Measures:
    """The measures of faces of these people in these clusters. Raises ValueError where there is no face."""
    if not people or len(people) != len(clusters):
        raise ValueError(f"{len(people)} people and {len(clusters)} clusters: one of each is needed for every face")
    return measure_numbered(numbered(people), numbered(clusters))


def numbered(names: Sequence[str | None]) -> Numbers:
    """The same names as the same numbers, from 0 on; each None as one of its own."""
    numbers: dict[object, int] = {}
    keys = (position if name is None else name for position, name in enumerate(names))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def measure_numbered(people: Numbers, clusters: Numbers) -> Measures:
    """The same for numbers from 0 on."""
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(people, clusters)
    pair_precision, pair_recall = pairwise(people, clusters)
    bcubed_precision, bcubed_recall = _bcubed(people, clusters)
    return Measures(
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        v_measure=float(v_measure),
        ari=float(adjusted_rand_score(people, clusters)),
        ami=float(adjusted_mutual_info_score(people, clusters)),
        pair_precision=pair_precision,
        pair_recall=pair_recall,
        pair_f=_f(pair_precision, pair_recall),
        bcubed_precision=bcubed_precision,
        bcubed_recall=bcubed_recall,
        bcubed_f=_f(bcubed_precision, bcubed_recall),
        clusters=len(np.unique(clusters)),
        largest=int(np.bincount(clusters).max()),
    )


def pairwise(people: Numbers, clusters: Numbers) -> tuple[float, float]:
    """Precision and recall of the pairs of faces that are together, of numbers from 0 on."""
    (_, wrong), (missed, together) = pair_confusion_matrix(people, clusters).tolist()
    precision = together / (together + wrong) if together + wrong else 1.0
    recall = together / (together + missed) if together + missed else 1.0
    return precision, recall


def _bcubed(people: Numbers, clusters: Numbers) -> tuple[float, float]:
    """BCubed precision and recall: sums over the cells of the contingency matrix, each cell once for its faces."""
    cells = contingency_matrix(people, clusters, sparse=True, dtype=np.int64).tocoo()
    squares = cells.data.astype(np.float64) ** 2
    of_person, of_cluster = np.unique(people, return_counts=True)[1], np.unique(clusters, return_counts=True)[1]
    precision = (squares / of_cluster[cells.col]).sum() / len(people)
    recall = (squares / of_person[cells.row]).sum() / len(people)
    return float(precision), float(recall)


def _f(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
