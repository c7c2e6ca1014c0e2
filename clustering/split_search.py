"""Deletion's question: do these core faces, who lost links, still hang together?"""

from __future__ import annotations

import heapq

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering.columns.arrays import NO_SLOTS, Slots, unique
from clustering.graph import Graph

# What one step of the search costs beside the edges it reads, counted in edges.
_STEP = 4000
# So many seeds are asked first which others they are linked to: in a dense cluster that leaves few searches.
_ASKED = 16


def separate(graph: Graph, members: Slots, seeds: Slots) -> list[Slots]:
    """The parts that a cluster fell into, but for one: the core nodes of each part.

    `members` are the cluster's nodes. `seeds` are distinct cores among them, and every part holds at least one. They
    search outwards in turns until all have met, or all but one are exhausted, so that the work follows the smaller
    parts (Even and Shiloach 1981). Where that has become dearer than looking at the whole cluster, as in a small
    cluster or a long chain, the whole cluster is looked at.
    """
    whole = int(graph.edges_of.sizes[members].sum(dtype=np.int64))
    search = _Search(graph, _apart(graph, seeds))
    try:
        while search.open > 1 and search.cost < 2 * whole:
            search.take_turns()
    finally:
        search.clear()
    return search.parts if search.open == 1 else _all_but_the_largest(graph, members)


def _apart(graph: Graph, seeds: Slots) -> Slots:
    """Seeds of which every part holds one still, without many that are linked to another of them."""
    order = np.argsort(-graph.edges_of.sizes[seeds].astype(np.int64), kind="stable")
    waiting = seeds[order]
    asked: list[Slots] = []
    while len(waiting) > 1 and len(asked) < _ASKED:
        asked.append(waiting[:1])
        _, _, linked = graph.neighbours(waiting[:1])
        waiting = waiting[1:]
        graph.nodes.mark[linked] = 0
        waiting = waiting[graph.nodes.mark[waiting] < 0]
        graph.nodes.mark[linked] = -1
    return np.concatenate([*asked, waiting])


def _all_but_the_largest(graph: Graph, members: Slots) -> list[Slots]:
    cores = members[graph.nodes.core[members]]
    owners, _, others = graph.neighbours(cores)
    between = graph.nodes.core[others] & (owners < others)
    place = graph.nodes.mark
    place[cores] = np.arange(len(cores))
    ends = place[owners[between]], place[others[between]]
    place[cores] = -1
    links = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), (len(cores), len(cores)))
    _, part_of = connected_components(links, directed=False)
    sizes = np.bincount(part_of)
    parts = np.split(cores[np.argsort(part_of)], np.cumsum(sizes)[:-1])
    del parts[int(np.argmax(sizes))]
    return parts


class _Search:
    """One search from each seed. Searches that meet become one; one that has nowhere to go has found a part."""

    def __init__(self, graph: Graph, seeds: Slots) -> None:
        count = len(seeds)
        self.parts: list[Slots] = []
        self.cost = 0
        self._graph = graph
        self._mark = graph.nodes.mark
        self._mark[seeds] = np.arange(count)
        # A search goes by the number of one of its seeds. `root` is the search that each seed's search has become.
        self._root = np.arange(count)
        self._waiting: dict[int, list[Slots]] = {i: [seeds[i : i + 1]] for i in range(count)}
        self._seen: dict[int, list[Slots]] = {i: [seeds[i : i + 1]] for i in range(count)}
        self._work = dict.fromkeys(range(count), 0)
        self._turns = [(0, i) for i in range(count)]
        self._largest = 0
        self._marked: list[Slots] = [seeds]

    @property
    def open(self) -> int:
        """The searches that go on."""
        return len(self._work)

    def take_turns(self) -> None:
        """A step of the search that has worked least, as large as all it did before; then one as large of the largest.

        The largest is likely to meet many others with one step.
        """
        work, search = heapq.heappop(self._turns)
        if self._work.get(search) != work:
            return  # it has met another, or has worked since
        if not self._step(search, work):
            self.parts.append(np.concatenate(self._seen.pop(search)))
            del self._work[search]
            return
        heapq.heappush(self._turns, (self._work[search], search))
        largest = self._largest
        if largest != search and largest in self._work and self._step(largest, work):
            heapq.heappush(self._turns, (self._work[largest], largest))

    def clear(self) -> None:
        """Leave no marks."""
        for nodes in self._marked:
            self._mark[nodes] = -1

    def _step(self, search: int, allowance: int) -> bool:
        """Look at the neighbours of waiting nodes, at least of one; False: none is waiting."""
        waiting = np.concatenate([NO_SLOTS, *self._waiting[search]])
        if not len(waiting):
            return False
        costs = np.cumsum(self._graph.edges_of.sizes[waiting], dtype=np.int64)
        count = max(1, int(np.searchsorted(costs, allowance, side="right")))
        _, _, found = self._graph.neighbours(waiting[:count])
        found = found[self._graph.nodes.core[found]]
        marks = self._mark[found]
        new = unique(found[marks < 0])
        self._mark[new] = search
        self._marked.append(new)
        self._waiting[search] = [waiting[count:], new]
        self._seen[search].append(new)
        cost = _STEP + int(costs[count - 1])
        self._work[search] += cost
        self.cost += cost
        met = unique(self._root[marks[marks >= 0]])
        self._take_in(search, met[met != search])
        return True

    def _take_in(self, search: int, met: Slots) -> None:
        if not len(met):
            return
        self._root[np.isin(self._root, met)] = search
        for other in met.tolist():
            self._waiting[search] += self._waiting.pop(other)
            self._seen[search] += self._seen.pop(other)
            self._work[search] += self._work.pop(other)
        largest = self._seen.get(self._largest, [])
        if len(self._seen[search]) > len(largest):
            self._largest = search
