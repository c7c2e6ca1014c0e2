"""Label propagation (Zhu and Ghahramani 2002): from the faces that have a name to the others, along their similarity.

Pure: faces are positions in arrays. What the paper iterates towards is solved for as such (Zhu, Ghahramani, Lafferty
2003, equation 5), on the sparse graph: the probability that a random walk from a face meets that name first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from clustering.columns.arrays import Mask, Slots

Probabilities = npt.NDArray[np.float64]

# Of the residual, against the right-hand side: far below what is published (four digits).
_TOLERANCE = 1e-10
_STEPS = 60


def propagate(weights: csr_array, hard: Slots, rejected: Mask) -> Probabilities:
    """How likely each face bears each name: float64, shape (n, k), from 0 to 1.

    weights: symmetric, shape (n, n), positive where two faces are alike. hard: shape (n,), the number of the name
    that a face has, -1 where it has none. rejected: shape (n, k), the names that a face never has.

    A face with a name has that name for certain. A rejection ends a walk that looks for the rejected name, as another
    name would; so rows may sum to less than 1, and the rest is the probability of none of these names. A face that no
    walk leads to a name has only zeros. Cost: some passes over the weights.
    """
    found = np.zeros(rejected.shape, dtype=np.float64)
    named = np.flatnonzero(hard >= 0)
    found[named, hard[named]] = 1.0
    if rejected.shape[1] == 1 and not rejected.any():
        # There is nothing else to meet.
        _, component = connected_components(weights, directed=False)
        found[np.isin(component, component[named]), 0] = 1.0
        return found
    unknown = np.flatnonzero(hard < 0)
    rows = weights[unknown]
    among, towards = rows[:, unknown], rows @ found
    degrees, is_open = np.asarray(rows.sum(axis=1), dtype=np.float64), ~rejected[unknown]
    solution, left = _approached(among, degrees, towards, is_open)
    for name in left:
        solution[:, name] = _solved(among, degrees, towards[:, name], is_open[:, name])
    found[unknown] = np.clip(solution, 0.0, 1.0)
    return found


def _approached(
    among: csr_array, degrees: Probabilities, towards: Probabilities, is_open: Mask
) -> tuple[Probabilities, list[int]]:
    """Conjugate gradients for all names at once, each on the faces open to it; the names that are not there yet.

    The sums are numpy's own: the library's are spread over threads, which takes longer than vectors of this size do.
    """
    scale = np.where(degrees > 0, degrees, 1.0)[:, None]
    solution = np.zeros_like(towards)
    residual = np.where(is_open, towards, 0.0)
    direction = residual / scale
    strength = _products(residual, direction)
    enough = _TOLERANCE**2 * _products(residual, residual)
    for _ in range(_STEPS):
        left = _products(residual, residual) > enough
        if not left.any():
            break
        image = np.where(is_open, scale * direction - among @ direction, 0.0)
        step = np.where(left, strength / np.where(left, _products(direction, image), 1.0), 0.0)
        solution += step * direction
        residual -= step * image
        towards_it = residual / scale
        before, strength = strength, _products(residual, towards_it)
        direction = towards_it + np.where(left, strength / np.where(left, before, 1.0), 0.0) * direction
    return solution, np.flatnonzero(_products(residual, residual) > enough).tolist()


def _products(ones: Probabilities, others: Probabilities) -> Probabilities:
    products: Probabilities = np.einsum("ij,ij->j", ones, others)
    return products


def _solved(among: csr_array, degrees: Probabilities, towards: Probabilities, is_open: Mask) -> Probabilities:
    """The same for one name by elimination. What is slow to approach is long and thin, and so quick to eliminate."""
    values = np.zeros(len(degrees), dtype=np.float64)
    _, component = connected_components(among, directed=False)
    reached = np.flatnonzero(is_open & np.isin(component, component[is_open & (towards > 0)]))
    matrix = diags_array(degrees[reached]) - among[reached][:, reached]
    values[reached] = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(towards[reached])
    return values
