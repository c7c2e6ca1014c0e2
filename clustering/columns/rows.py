"""Rows of numbers by node, sparse: what two nodes have in common is the inner product of their rows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from clustering.columns.arrays import Slots

# Pairs of rows that are multiplied at a time, by one thread: their numbers stay in the cache.
_PAIRS_AT_ONCE = 4096


def sparse_rows(nodes: Slots, owners: Slots, columns: Slots, values: npt.NDArray[np.int64]) -> csr_array:
    """A row for each of these distinct nodes, ascending; owners, columns and values have shape (n,).

    The entries of a node follow one another, in the order of the nodes, as they are read from lists.
    """
    starts = np.append(np.searchsorted(owners, nodes), len(owners))
    rows = csr_array((values, columns, starts), shape=(len(nodes), int(columns.max(initial=0)) + 1))
    # Rows in order are multiplied much faster.
    rows.sort_indices()
    return rows


def inner_products(rows: csr_array, one: Slots, other: Slots) -> npt.NDArray[np.int64]:
    """The inner products of row one[i] and row other[i]: shape (n,)."""
    products = np.empty(len(one), dtype=np.int64)

    def multiply(start: int) -> None:
        block = slice(start, start + _PAIRS_AT_ONCE)
        products[block] = rows[one[block]].multiply(rows[other[block]]).sum(axis=1)

    starts = range(0, len(one), _PAIRS_AT_ONCE)
    threads = min(len(starts), os.cpu_count() or 1)
    if threads > 1:
        # scipy multiplies without the interpreter's lock.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(multiply, starts))
    else:
        for start in starts:
            multiply(start)
    return products
