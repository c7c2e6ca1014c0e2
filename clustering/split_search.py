"""A search that finds out whether cores of one cluster, which lost active edges, are still connected.

Most clusters are small, and many of them are touched by one batch: these are read whole, together. In a large one a
search goes outwards from the cores that lost edges.
"""

from __future__ import annotations

import heapq

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering.columns.arrays import NO_SLOTS, Mask, Slots, first_of_each, unique
from clustering.columns.lists import Lists
from clustering.columns.rows import inner_products, sparse_rows
from clustering.graph import Graph
from clustering.nodes import Marks

# The cost of one step of a search besides the edges that it reads, in edges.
_STEP = 4000
# A cluster that costs so many steps is small: it is read whole, with others up to so many edges.
_SMALL, _AT_ONCE = 16, 2**20
# The number of seeds whose neighbours are read first: in a dense cluster that leaves few searches.
_THINNING = 16


def have_common_core(graph: Graph, left: Slots, right: Slots) -> Mask:
    """Which of these pairs of nodes have a neighbouring core in common."""
    if not len(left):
        return np.empty(0, dtype=np.bool_)
    nodes = unique(left, right)
    owners, _, neighbours = graph.neighbours(nodes)
    core = graph.nodes.core[neighbours]
    rows = sparse_rows(nodes, owners[core], neighbours[core], np.ones(int(core.sum()), dtype=np.int64))
    return inner_products(rows, np.searchsorted(nodes, left), np.searchsorted(nodes, right)) > 0


def find_splits(graph: Graph, members_of: Lists, seeds: Slots) -> list[Slots]:
    """The components that clusters fell into, but for one of each cluster: the core nodes of each component.

    `members_of` are the nodes of each cluster. `seeds` are distinct cores, ascending by cluster, and every component of
    a cluster holds at least one of them. A cluster with a single one has not fallen apart.
    """
    begins = np.flatnonzero(first_of_each(graph.nodes.cluster[seeds]))
    seeds_of_each = [group for group in np.split(seeds, begins[1:]) if len(group) > 1]
    found: list[Slots] = []
    small: list[Slots] = []
    small_cost = 0
    for its_seeds in seeds_of_each:
        _, members = members_of.read(graph.nodes.cluster[its_seeds[:1]].astype(np.int64))
        cost = int(graph.edges_of.sizes[members].sum(dtype=np.int64))
        if cost > _SMALL * _STEP:
            found += _search_from(graph, members, its_seeds, cost)
            continue
        small.append(members)
        small_cost += cost
        if small_cost > _AT_ONCE:
            found += _all_components_but_the_largest(graph, np.concatenate(small))
            small, small_cost = [], 0
    return found + _all_components_but_the_largest(graph, np.concatenate([NO_SLOTS, *small]))


def _search_from(graph: Graph, members: Slots, seeds: Slots, cost_of_whole: int) -> list[Slots]:
    """The components of one cluster, but for one.

    From each seed a search goes outwards, in turns, until all have met, or all but one are exhausted; so the work
    follows the smaller components (Even and Shiloach 1981). Where that costs more than reading the whole cluster, as
    in a long chain, the whole cluster is read.
    """
    remaining = _thinned(graph, seeds)
    with graph.nodes.marks() as marks:
        search = _Search(graph, remaining, marks)
        while search.running > 1 and search.cost < 2 * cost_of_whole:
            search.take_turns()
        if search.running == 1:
            return search.components
    return _all_components_but_the_largest(graph, members)


def _thinned(graph: Graph, seeds: Slots) -> Slots:
    """Seeds of which every component still holds one, without many that are neighbours of another seed."""
    order = np.argsort(-graph.edges_of.sizes[seeds].astype(np.int64), kind="stable")
    waiting = seeds[order]
    kept: list[Slots] = []
    while len(waiting) > 1 and len(kept) < _THINNING:
        kept.append(waiting[:1])
        _, _, neighbours = graph.neighbours(waiting[:1])
        waiting = waiting[1:]
        with graph.nodes.marks() as marks:
            marks.put(neighbours, 0)
            waiting = waiting[marks[waiting] < 0]
    return np.concatenate([*kept, waiting])


def _all_components_but_the_largest(graph: Graph, members: Slots) -> list[Slots]:
    """The components of clusters, given by all their nodes, but for the largest one of each cluster."""
    cores = members[graph.nodes.core[members]]
    if not len(cores):
        return []
    owners, _, others = graph.neighbours(cores)
    between_cores = graph.nodes.core[others] & (owners < others)
    with graph.nodes.marks() as positions:
        positions.number(cores)
        ends = positions[owners[between_cores]], positions[others[between_cores]]
    pairs = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), (len(cores), len(cores)))
    _, component = connected_components(pairs, directed=False)
    sizes = np.bincount(component)
    order = np.argsort(component, kind="stable")
    components = np.split(cores[order], np.cumsum(sizes)[:-1])
    clusters = graph.nodes.cluster[[nodes[0] for nodes in components]]
    by_size = np.lexsort((-sizes, clusters))
    is_largest = first_of_each(clusters[by_size])
    return [components[number] for number in by_size[~is_largest].tolist()]


class _Search:
    """One search from each seed. Searches that meet become one. A search that is exhausted has read a component."""

    def __init__(self, graph: Graph, seeds: Slots, marks: Marks) -> None:
        count = len(seeds)
        self.components: list[Slots] = []
        self.cost = 0
        self._graph = graph
        # By node, the seed whose search reached it.
        self._marks = marks
        self._marks.number(seeds)
        # A search has the number of one of its seeds. `_root` is the search that each seed's search is part of now.
        self._root = np.arange(count)
        # By running search: cores whose neighbours it has not read, all cores that it has reached, and its cost.
        self._waiting: dict[int, list[Slots]] = {i: [seeds[i : i + 1]] for i in range(count)}
        self._reached: dict[int, list[Slots]] = {i: [seeds[i : i + 1]] for i in range(count)}
        self._work = dict.fromkeys(range(count), 0)
        # A heap of (cost, search). Entries of another cost than the search has now are outdated.
        self._turns = [(0, i) for i in range(count)]
        self._largest = 0

    @property
    def running(self) -> int:
        """The number of searches that are not exhausted."""
        return len(self._work)

    def take_turns(self) -> None:
        """One step of the search of least cost, as large as all its steps before; then one as large of the largest.

        Doubling keeps the number of steps low. The largest search is likely to meet many others with one step.
        """
        work, search = heapq.heappop(self._turns)
        if self._work.get(search) != work:
            return  # this search has met another one, or made a step since
        if not self._step(search, work):
            self.components.append(np.concatenate(self._reached.pop(search)))
            del self._work[search]
            return
        heapq.heappush(self._turns, (self._work[search], search))
        largest = self._largest
        if largest != search and largest in self._work and self._step(largest, work):
            heapq.heappush(self._turns, (self._work[largest], largest))

    def _step(self, search: int, allowance: int) -> bool:
        """Read the neighbours of waiting cores up to a cost of `allowance`, of one at least; False: none is waiting."""
        waiting = np.concatenate([NO_SLOTS, *self._waiting[search]])
        if not len(waiting):
            return False
        costs = np.cumsum(self._graph.edges_of.sizes[waiting], dtype=np.int64)
        count = max(1, int(np.searchsorted(costs, allowance, side="right")))
        _, _, neighbours = self._graph.neighbours(waiting[:count])
        neighbours = neighbours[self._graph.nodes.core[neighbours]]
        marks = self._marks[neighbours]
        new = unique(neighbours[marks < 0])
        self._marks.put(new, search)
        self._waiting[search] = [waiting[count:], new]
        self._reached[search].append(new)
        cost = _STEP + int(costs[count - 1])
        self._work[search] += cost
        self.cost += cost
        met = unique(self._root[marks[marks >= 0]])
        self._take_over(search, met[met != search])
        return True

    def _take_over(self, search: int, met: Slots) -> None:
        """Make the searches that were met part of this one."""
        if not len(met):
            return
        self._root[np.isin(self._root, met)] = search
        for other in met.tolist():
            self._waiting[search] += self._waiting.pop(other)
            self._reached[search] += self._reached.pop(other)
            self._work[search] += self._work.pop(other)
        largest = self._reached.get(self._largest, [])
        if len(self._reached[search]) > len(largest):
            self._largest = search
