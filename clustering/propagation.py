"""Label propagation (Zhu and Ghahramani 2002): from the faces that have a name to the others, along their similarity.

Pure: faces are positions in arrays. What the paper iterates towards is solved for as such (Zhu, Ghahramani, Lafferty
2003, equation 5), on the sparse graph: the probability that a random walk from a face meets that name first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg

from clustering.arrays import Mask, Slots

Probabilities = npt.NDArray[np.float64]

# Of the residual, against the right-hand side: far below what is published (four digits).
_TOLERANCE = 1e-10
_MOST_STEPS = 20_000


class NotSolved(Exception):
    """The probabilities did not come out in a sane number of steps. It would be a fault in here."""


def propagate(weights: csr_array, hard: Slots, rejected: Mask) -> Probabilities:
    """How likely each face bears each name: float64, shape (n, k), from 0 to 1.

    weights: symmetric, shape (n, n), positive where two faces are alike. hard: shape (n,), the number of the name
    that a face has, -1 where it has none. rejected: shape (n, k), the names that a face never has.

    A face with a name has that name for certain. A rejection ends a walk that looks for the rejected name, as another
    name would; so rows may sum to less than 1, and the rest is the probability of none of these names. A face that no
    walk leads to a name has only zeros. Cost: some passes over the weights for each name.
    """
    found = np.zeros(rejected.shape, dtype=np.float64)
    named = hard >= 0
    found[named, hard[named]] = 1.0
    for name in range(rejected.shape[1]):
        is_open = ~named & ~rejected[:, name]
        found[is_open, name] = _reached(weights, np.flatnonzero(is_open), np.flatnonzero(hard == name))
    return found


def _reached(weights: csr_array, unknown: Slots, sources: Slots) -> Probabilities:
    """The probability that a walk from each unknown face meets a source before any other face that is not unknown."""
    values = np.zeros(len(unknown), dtype=np.float64)
    rows = weights[unknown]
    towards = rows[:, sources].sum(axis=1)
    among = rows[:, unknown]
    _, component = connected_components(among, directed=False)
    reached = np.flatnonzero(np.isin(component, component[towards > 0]))
    if not len(reached):
        return values
    degrees = rows.sum(axis=1)[reached]
    among, towards = among[reached][:, reached], towards[reached]
    if np.allclose(among.sum(axis=1) + towards, degrees, rtol=1e-12, atol=0):
        # There is nothing else to meet.
        values[reached] = 1.0
        return values
    solution, failed = cg(
        diags_array(degrees) - among, towards, rtol=_TOLERANCE, maxiter=_MOST_STEPS, M=diags_array(1 / degrees)
    )
    if failed:
        raise NotSolved(f"label propagation over {len(reached)} faces did not end within {_MOST_STEPS} steps")
    values[reached] = np.clip(solution, 0.0, 1.0)
    return values
