"""What decisions make of clusters, computed from the definitions: slow, and without any code of `clustering`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from decisions.holding import Decisions
from schemas.clusters import Suggestion

Cluster = int | None

# How probable it is that neighbours at a distance are one person, by a logistic function: tests/clustering/conftest.py.
MIDDLE, WIDTH = 2.0, 0.5
_SUREST = 0.999


@dataclass(frozen=True)
class World:
    """Live faces in the order of their ids, how far apart they are, who is near whom, and who is core."""

    ids: list[str]
    distances: npt.NDArray[np.float64]
    near: npt.NDArray[np.bool_]
    core: npt.NDArray[np.bool_]

    def pairs(self, decisions: Decisions) -> tuple[list[tuple[int, int]], set[tuple[int, int]]]:
        """Linked pairs in the order of the decisions, and separated ones, of live faces."""
        position = {face_id: i for i, face_id in enumerate(self.ids)}
        linked, apart = [], set()
        for one in self.ids:
            for other, order in decisions.linked(one).items():
                if one < other and other in position:
                    linked.append((order, position[one], position[other]))
            apart |= {(position[one], position[other]) for other in decisions.separated(one) if other in position}
        return [(i, j) for _, i, j in sorted(linked)], apart


def with_decisions(world: World, clusters: Sequence[Cluster], decisions: Decisions) -> list[Cluster]:
    """Clusters joined where faces are linked, and divided where faces are separated."""
    linked, apart = world.pairs(decisions)
    count = len(world.ids)
    group = [count + i if cluster is None else cluster for i, cluster in enumerate(clusters)]
    joined: set[int] = set()
    for i, j in linked:
        old, new = group[j], group[i]
        if old != new:
            joined = (joined - {old}) | {new}
        group = [new if it == old else it for it in group]
    joined &= set(group)
    result: list[Cluster] = list(clusters)
    for number in sorted(set(group)):
        members = [i for i in range(count) if group[i] == number]
        inside = {(i, j) for i, j in apart if i in members and j in members}
        if number in joined and not inside:
            result = [3 * count + number if i in members else cluster for i, cluster in enumerate(result)]
        elif inside:
            for component in _divided(world, members, [pair for pair in linked if pair[0] in members], inside):
                for i in component:
                    result[i] = 6 * count + min(component)
    return result


def _divided(
    world: World, members: list[int], linked: list[tuple[int, int]], apart: set[tuple[int, int]]
) -> list[set[int]]:
    components = [{i} for i in members]

    def join(i: int, j: int) -> bool:
        (one,) = (component for component in components if i in component)
        (other,) = (component for component in components if j in component)
        if one is other:
            return True
        if any((a, b) in apart for a in one for b in other):
            return False
        components.remove(other)
        one |= other
        return True

    for i, j in linked:
        join(i, j)
    near = [(float(world.distances[i, j]), i, j) for i in members for j in members if world.near[i, j] and i != j]
    for _, i, j in sorted(near):
        if world.core[i] and world.core[j] and i < j:
            join(i, j)
    settled: set[int] = set()
    towards_core = [(d, min(i, j), max(i, j), i, j) for d, i, j in near if world.core[j] and not world.core[i]]
    for *_, border, core in sorted(towards_core):
        if border not in settled and join(border, core):
            settled.add(border)
    return components


def labelled(world: World, clusters: Sequence[Cluster], decisions: Decisions, eps: float) -> dict[str, dict[str, Any]]:
    """Hard and soft labels as fields of an assignment, by face id.

    Where a random walk in the cluster ends, times the probability of the best path to a face with a hard label.
    """
    linked, _ = world.pairs(decisions)
    labels: dict[str, dict[str, Any]] = {}
    for cluster in set(clusters):
        members = [i for i in range(len(world.ids)) if clusters[i] == cluster]
        known = [decisions.labels(world.ids[i]) for i in members]
        if cluster is None:
            labels |= {world.ids[i]: {"hard_label": it.hard} for i, it in zip(members, known, strict=True)}
            continue
        square = np.ix_(members, members)
        alike = np.where(world.near[square], np.exp(-2 * (np.minimum(world.distances[square], 99) / eps) ** 2), 0.0)
        np.fill_diagonal(alike, 0)
        lengths = np.minimum(world.distances[square], 99)
        one_person = np.where(world.near[square], _SUREST / (1 + np.exp((lengths - MIDDLE) / WIDTH)), 0.0)
        for i, j in linked:
            if i in members and j in members:
                a, b = members.index(i), members.index(j)
                alike[a, b] += 1
                alike[b, a] += 1
                one_person[a, b] = one_person[b, a] = 1.0
        names = sorted({it.hard for it in known if it.hard is not None})
        chances = {name: _chances(alike, [it.hard for it in known], name, [name in it.rejected for it in known])
                   for name in names}  # fmt: skip
        nobody = [bool(names) and set(names) <= it.rejected for it in known]
        certainty = _certainty(one_person, [it.hard is not None for it in known], nobody)
        for position, (i, it) in enumerate(zip(members, known, strict=True)):
            likely = [(-round(float(chances[name][position] * certainty[position]), 4), name) for name in names]
            proposed = tuple(Suggestion(label_id=name, probability=-value) for value, name in sorted(likely) if value)
            proposed = () if it.hard is not None else proposed
            labels[world.ids[i]] = {
                "hard_label": it.hard,
                "soft_label": proposed[0] if proposed else None,
                "distribution": proposed,
            }
    return labels


def _chances(
    alike: npt.NDArray[np.float64], hard: list[str | None], name: str, rejects: list[bool]
) -> npt.NDArray[np.float64]:
    """The chance that a walk ends at a face of this name: the limit of the powers of its transition matrix."""
    ends = np.array([it is not None or reject for it, reject in zip(hard, rejects, strict=True)])
    ends |= alike.sum(axis=1) == 0
    walk = np.where(ends[:, None], np.eye(len(hard)), alike / np.maximum(alike.sum(axis=1, keepdims=True), 1e-300))
    for _ in range(25):
        walk = walk @ walk
    return np.asarray(walk[:, [it == name for it in hard]].sum(axis=1))


def _certainty(one_person: npt.NDArray[np.float64], named: list[bool], nobody: list[bool]) -> npt.NDArray[np.float64]:
    """The largest product of probabilities along a path to a named face that leads through nobody else."""
    best = np.array(named, dtype=float)
    for _ in named:
        on_the_way = np.where(nobody, 0.0, best)
        best = np.maximum(best, (one_person * on_the_way).max(axis=1, initial=0))
    return best
