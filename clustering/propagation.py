"""Label propagation (Zhu and Ghahramani 2002): from the faces that have a name to the others, along their similarity.

Pure: faces are positions in arrays. The limit of the paper's iteration is computed as the solution of a sparse linear
system (Zhu, Ghahramani, Lafferty 2003, equation 5): the probability that a random walk from a face meets, of all faces
with a name, one with that name first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from clustering.columns.arrays import Mask, Slots

Probabilities = npt.NDArray[np.float64]

# Of the residual, relative to the right-hand side: far below what is published (four digits).
_TOLERANCE = 1e-10
_MAX_STEPS = 60
# Faces times names that are solved for together: some ten arrays of 32 MB.
_AT_ONCE = 2**22


def affinity(distances: csr_array, must_links: Slots, eps: float) -> csr_array:
    """The kernel: exp(-2 d^2 / eps^2) for neighbours at distance d, and 1 for a must-link: shape (n, n).

    distances: shape (n, n), each pair of neighbours in both directions. must_links: shape (l, 2), each pair once. Two
    faces that are neighbours and have a must-link get the sum of both.

    A Gaussian kernel, as in Zhu and Ghahramani 2002, with a standard deviation of eps / 2: at eps it is 0.135.
    """
    near = np.exp(-2.0 * (distances.data / eps) ** 2)
    weights = csr_array((near, distances.indices, distances.indptr), shape=distances.shape)
    if not len(must_links):
        return weights
    both = np.concatenate([must_links, must_links[:, ::-1]])
    return csr_array(weights + coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), distances.shape).tocsr())


def propagate(weights: csr_array, hard: Slots, rejected: csc_array) -> Iterator[Probabilities]:
    """The probability that a face has each name, for some names at a time: float64, shape (n, b), from 0 to 1.

    weights: symmetric, shape (n, n), positive where two faces are similar. hard: shape (n,), the number of the name
    that a face has, -1 where it has none. rejected: bool, shape (n, k), the names that a face certainly does not have.
    The arrays follow the order of the names, each as wide as _AT_ONCE allows, so memory does not grow with k.

    A face with a name has it with probability 1. A rejection ends a walk that looks for the rejected name, as another
    name would. So rows may sum to less than 1, and the rest is the probability of none of these names. A face from
    which no walk leads to a name has only zeros. Cost: some products with the weights for each name.
    """
    # With W the weights, D their row sums, u the unnamed and l the named faces: (D_uu - W_uu) f_u = W_ul f_l.
    unnamed = np.flatnonzero(hard < 0)
    rows = weights[unnamed]
    between, degrees = rows[:, unnamed], np.asarray(rows.sum(axis=1), dtype=np.float64)
    count, width = rejected.shape[1], max(1, _AT_ONCE // max(1, len(hard)))
    for first in range(0, count, width):
        names = np.arange(first, min(first + width, count))
        probabilities = (hard[:, None] == names).astype(np.float64)
        is_open = ~rejected[:, names].toarray()[unnamed]
        towards = rows @ probabilities
        solution, unsolved = _by_conjugate_gradients(between, degrees, towards, is_open)
        for name in unsolved:
            solution[:, name] = _by_elimination(between, degrees, towards[:, name], is_open[:, name])
        probabilities[unnamed] = np.clip(solution, 0.0, 1.0)
        yield probabilities


def _by_conjugate_gradients(
    between: csr_array, degrees: Probabilities, towards: Probabilities, is_open: Mask
) -> tuple[Probabilities, list[int]]:
    """Solve for some names at once, each on the faces that do not reject it. Returns the names not solved yet, too.

    Conjugate gradients, preconditioned with the diagonal. Dot products are numpy's own: BLAS would spread them over
    threads, which takes longer than vectors of this size do.
    """
    scale = np.where(degrees > 0, degrees, 1.0)[:, None]
    solution = np.zeros_like(towards)
    residual = np.where(is_open, towards, 0.0)
    direction = residual / scale
    strength = _products(residual, direction)
    enough = _TOLERANCE**2 * _products(residual, residual)
    for _ in range(_MAX_STEPS):
        unsolved = _products(residual, residual) > enough
        if not unsolved.any():
            break
        image = np.where(is_open, scale * direction - between @ direction, 0.0)
        # The step of a solved name is 0, so that its column stays as it is while others go on.
        step = np.where(unsolved, strength / np.where(unsolved, _products(direction, image), 1.0), 0.0)
        solution += step * direction
        residual -= step * image
        preconditioned = residual / scale
        before, strength = strength, _products(residual, preconditioned)
        direction = preconditioned + np.where(unsolved, strength / np.where(unsolved, before, 1.0), 0.0) * direction
    return solution, np.flatnonzero(_products(residual, residual) > enough).tolist()


def _products(ones: Probabilities, others: Probabilities) -> Probabilities:
    """The dot product of each pair of columns: shape (k,)."""
    products: Probabilities = np.einsum("ij,ij->j", ones, others)
    return products


def _by_elimination(between: csr_array, degrees: Probabilities, towards: Probabilities, is_open: Mask) -> Probabilities:
    """Solve for one name by sparse LU. Graphs on which iteration is slow are long and thin, so LU is fast on them."""
    values = np.zeros(len(degrees), dtype=np.float64)
    # Faces that no walk leads to the name from would make the matrix singular; their probability is 0.
    _, component = connected_components(between, directed=False)
    reached = np.flatnonzero(is_open & np.isin(component, component[is_open & (towards > 0)]))
    matrix = diags_array(degrees[reached]) - between[reached][:, reached]
    values[reached] = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(towards[reached])
    return values
