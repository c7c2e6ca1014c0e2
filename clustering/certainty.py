"""How sure it is that a face is the person of the nearest named face, along the best path of its cluster.

Two neighbours are one person with a probability that follows from their distance, a logistic function. A calibrated
distance says how rarely strangers are so near in the archive at hand (0.5 is where the nearest 0.2 % are), whatever the
archive, so one function serves all. A Euclidean distance does not; its function is that of press photographs and of
their faded versions together, and its slope is less steep because it has to serve both. `benchmarks/certainty_curve.py`
fits the constants, so that the probabilities of soft labels, not of edges, are right on average: most edges are inside
of large groups and prove little, but a face at the rim hangs on the one edge that it has.

A path is right if all its edges are, so its probability is their product; of several paths the best one counts. The
other paths are no independent evidence, since faces that look alike do so in all of their pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from clustering.columns.arrays import Mask, Slots

Probabilities = npt.NDArray[np.float64]

# However near two faces are: only an archivist is certain.
SUREST = 0.999
# Paths that are less probable are 0 in what is published (four digits).
_LEAST = 5e-5


@dataclass(frozen=True)
class Curve:
    """A logistic function: the distance at which one pair in two is one person, and how fast that changes there."""

    middle: float
    width: float

    def __call__(self, distances: npt.NDArray[np.float64]) -> Probabilities:
        """The probability that two neighbours at each of these distances are one person, at most SUREST."""
        # Beyond 40 widths it is 0 in any case; the exponential would overflow.
        steps = np.clip((distances - self.middle) / self.width, -40.0, 40.0)
        probabilities: Probabilities = SUREST / (1.0 + np.exp(steps))
        return probabilities

    def stretched(self, unit: float) -> Curve:
        """The curve of distances that are so many times as long."""
        return Curve(self.middle * unit, self.width * unit)


CALIBRATED = Curve(middle=0.425, width=0.020)
EUCLIDEAN = Curve(middle=0.48, width=0.03)


def edge_probabilities(distances: csr_array, must_links: Slots, curve: Curve) -> csr_array:
    """How probable it is that two neighbours are one person: 1 for a must-link, an archivist's decision.

    distances: shape (n, n), each pair of neighbours in both directions. must_links: shape (l, 2), each pair once.
    """
    edges = csr_array((curve(distances.data), distances.indices, distances.indptr), shape=distances.shape)
    if not len(must_links):
        return edges
    both = np.concatenate([must_links, must_links[:, ::-1]])
    certain = coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), distances.shape)
    return csr_array(edges.maximum(csr_array(certain).astype(np.bool_).astype(np.float64)))


def along_best_paths(edges: csr_array, named: Slots, closed: Mask) -> Probabilities:
    """The probability of the best path from each face to a named one: shape (n,). 1 at these, 0 where there is none.

    closed: shape (n,), the faces that paths do not pass through, because they are certainly none of the named people.
    Exact and independent of the order of the faces: of all paths the least sum, each summed from its named end. Cost:
    that of Dijkstra's algorithm, n log n.
    """
    if not len(named):
        return np.zeros(edges.shape[0])
    lengths = -np.log(edges.data)
    lengths[np.repeat(closed, np.diff(edges.indptr))] = np.inf
    graph = csr_array((lengths, edges.indices, edges.indptr), shape=edges.shape)
    shortest = dijkstra(graph, directed=True, indices=named, min_only=True, limit=-np.log(_LEAST))
    probabilities: Probabilities = np.exp(-shortest)
    return probabilities
