"""What the clustering is compared with: DBSCAN and labels computed from all records and decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import DBSCAN

from clustering.clustering import Clustering, Delta, Parameters
from decisions.holding import Decisions
from schemas.clusters import Change, FaceAssigned, Role
from schemas.decisions import Decision
from tests.builders.neighbours import Held
from tests.builders.oracle_decisions import World, labelled, with_decisions


def expected_assignments(
    held: Held, parameters: Parameters, decided: Iterable[Decision] = ()
) -> dict[str, FaceAssigned]:
    """The assignments that follow from these records and decisions, by the definitions alone, by face id."""
    live = {scan: max(r.analysis for r in held.values() if r.scan_id == scan) for scan, _ in held}
    current = [r for r in held.values() if r.analysis == live[r.scan_id]]
    faces = {face.face_id: (r, face) for r in current for face in r.faces}
    decisions = Decisions()
    decisions.apply(decided)
    ids = sorted(face_id for face_id in faces if not decisions.labels(face_id).not_a_face)
    position = {(face_id, faces[face_id][0].analysis): i for i, face_id in enumerate(ids)}
    distances = np.full((len(ids), len(ids)), np.inf)
    for found in current:
        for face in found.faces:
            one = position.get((face.face_id, found.analysis))
            if one is None:
                continue
            for name, analysis, distance in zip(face.neighbours, face.analyses, face.distances, strict=True):
                other = position.get((name, analysis))
                if other is not None and other != one:
                    distances[one, other] = distances[other, one] = min(distance, distances[one, other])
    if parameters.same_scan_eps is not None:
        scans = np.array([faces[face_id][0].scan_id for face_id in ids])
        distances[(scans[:, None] == scans[None, :]) & (distances > parameters.same_scan_eps)] = np.inf
    np.fill_diagonal(distances, 0.0)
    gates = np.array(
        [
            face.quality.size_px >= (parameters.min_size_px or 0)
            and face.score >= (parameters.min_score or 0)
            and face.quality.sharpness >= (parameters.min_sharpness or 0)
            for _, face in (faces[face_id] for face_id in ids)
        ],
        dtype=bool,
    )
    near = _near(distances, ids, parameters)
    core = (near.sum(axis=1) >= parameters.min_samples) & gates
    component = _components(near & core[:, None] & core[None, :])
    if ids and gates.all() and not parameters.shares_neighbours:
        _assert_scikit_learn_agrees(distances, parameters, core, component)
    clusters: list[int | None] = []
    for i in range(len(ids)):
        cores = [j for j in np.flatnonzero(near[i] & core) if j != i]
        if core[i]:
            clusters.append(component[i])
        else:
            clusters.append(component[min(cores, key=lambda j: (distances[i, j], ids[j]))] if cores else None)
    world = World(ids, distances, near, core)
    clusters = with_decisions(world, clusters, decisions)
    labels = labelled(world, clusters, decisions, parameters.eps)
    oldest: dict[int | None, tuple[datetime, str]] = {}
    for cluster, face_id in zip(clusters, ids, strict=True):
        age = (faces[face_id][0].published_at, face_id)
        oldest[cluster] = min(oldest.get(cluster, age), age)
    return {
        face_id: FaceAssigned(
            face_id=face_id,
            scan_id=faces[face_id][0].scan_id,
            analysis=faces[face_id][0].analysis,
            cluster_id=None if cluster is None else oldest[cluster][1],
            role=Role.CORE if is_core else Role.NOISE if cluster is None else Role.BORDER,
            **labels[face_id],
        )
        for face_id, cluster, is_core in zip(ids, clusters, core.tolist(), strict=True)
    }


def _near(distances: npt.NDArray[np.float64], ids: list[str], parameters: Parameters) -> npt.NDArray[np.bool_]:
    """Who are neighbours, each face its own: shape (n, n)."""
    if parameters.reach is None:
        return distances <= parameters.eps
    others = [[j for j in range(len(ids)) if j != i and distances[i, j] <= parameters.reach] for i in range(len(ids))]
    nearest = [
        set(sorted(js, key=lambda j: (distances[i, j], ids[j]))[: parameters.most_neighbours])
        for i, js in enumerate(others)
    ]
    roots = np.zeros(distances.shape, dtype=np.int64)
    for i, js in enumerate(nearest):
        for j in js:
            roots[i, j] = 1 + round(np.sqrt(parameters.reach - distances[i, j]) * 2**16)
    sums = (roots**2).sum(axis=1)
    weighted = 0.9 * np.minimum.outer(sums, sums) + 0.1 * np.maximum.outer(sums, sums)
    shares = np.minimum((roots @ roots.T + roots**2) / np.maximum(weighted, 1), 1.0)
    near: npt.NDArray[np.bool_] = distances <= parameters.eps - parameters.shared_weight * (1 - shares)
    near &= (roots > 0) & (roots.T > 0)
    np.fill_diagonal(near, val=True)
    return near


def probabilities(assignment: FaceAssigned) -> dict[str, float]:
    """A face's distribution by label."""
    return {it.label_id: it.probability for it in assignment.distribution}


def _without_soft(assignment: FaceAssigned) -> FaceAssigned:
    return assignment.model_copy(update={"soft_label": None, "distribution": ()})


def _components(linked: npt.NDArray[np.bool_]) -> list[int]:
    component = list(range(len(linked)))
    changed = True
    while changed:
        changed = False
        for i, j in np.argwhere(linked).tolist():
            if component[i] != component[j]:
                component[i] = component[j] = min(component[i], component[j])
                changed = True
    return component


def _assert_scikit_learn_agrees(
    distances: npt.NDArray[np.float64], parameters: Parameters, core: npt.NDArray[np.bool_], component: list[int]
) -> None:
    finite = np.minimum(distances, 1e9)
    theirs = DBSCAN(eps=parameters.eps, min_samples=parameters.min_samples, metric="precomputed").fit(finite)
    assert np.flatnonzero(core).tolist() == sorted(theirs.core_sample_indices_.tolist())
    pairs = {(component[i], int(theirs.labels_[i])) for i in np.flatnonzero(core)}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


class Subscriber:
    """Knows deltas and nothing else, as somebody at `assignments` and `clusters` does."""

    def __init__(self) -> None:
        self.assignments: dict[str, FaceAssigned] = {}
        self.sizes: dict[str, int] = {}

    def assert_follows(self, delta: Delta) -> None:
        """Take in a delta, which has to follow from what was there and to repeat nothing of it."""
        before = dict(self.assignments)
        for face_id in delta.removed:
            del self.assignments[face_id]
        for assignment in delta.assignments:
            assert self.assignments.get(assignment.face_id) != assignment, "written twice"
            self.assignments[assignment.face_id] = assignment
        for change in delta.changes:
            if change.change in (Change.MERGED, Change.RETIRED):
                assert change.size == 0
                self.sizes.pop(change.cluster_id)
            elif change.change is Change.CREATED:
                assert change.cluster_id not in self.sizes
                self.sizes[change.cluster_id] = change.size
            else:
                old = self.sizes[change.cluster_id]
                assert change.change is not Change.GROWN or change.size > old
                assert change.change is not Change.SHRUNK or change.size < old
                self.sizes[change.cluster_id] = change.size
        for change in delta.changes:
            assert change.successor is None or change.successor in self.sizes
            assert set(change.parts) <= self.sizes.keys()
        assert_splits_are_true(before, self.assignments, delta)
        sizes = Counter(one.cluster_id for one in self.assignments.values() if one.cluster_id is not None)
        assert self.sizes == sizes


def assert_splits_are_true(before: dict[str, FaceAssigned], after: dict[str, FaceAssigned], delta: Delta) -> None:
    """A split is reported of each cluster whose cores are in several now, and of no other.

    An id whose cores are all in others now, and that still exists, is retired and created again.
    """
    cores: dict[str, set[str]] = {}
    for face_id, old in before.items():
        new = after.get(face_id)
        if new is not None and old.cluster_id and new.cluster_id and old.role is new.role is Role.CORE:
            cores.setdefault(old.cluster_id, set()).add(new.cluster_id)
    splits = {one.cluster_id: set(one.parts) for one in delta.changes if one.change is Change.SPLIT}
    assert splits == {cluster_id: parts for cluster_id, parts in cores.items() if len(parts) > 1}
    exist = {one.cluster_id for one in after.values()}
    kept_by_others = {cluster_id for cluster_id, parts in cores.items() if cluster_id in exist - parts}
    retired = {one.cluster_id: one.successor for one in delta.changes if one.change is Change.RETIRED}
    created = {one.cluster_id for one in delta.changes if one.change is Change.CREATED}
    assert kept_by_others == created & retired.keys()
    assert all(retired[cluster_id] in cores[cluster_id] for cluster_id in kept_by_others)


def assigned(clustering: Clustering) -> dict[str, FaceAssigned]:
    """What is live, by face id."""
    return {it.face_id: it for it in clustering.assignments()}


def assert_as_expected(
    clustering: Clustering, subscriber: Subscriber, held: Held, decided: Iterable[Decision] = ()
) -> None:
    """The clustering, and a subscriber that only read its deltas, have the expected assignments."""
    right = expected_assignments(held, clustering.parameters, decided)
    ours = assigned(clustering)
    assert {face_id: _without_soft(it) for face_id, it in ours.items()} == {
        face_id: _without_soft(it) for face_id, it in right.items()
    }
    for face_id, it in ours.items():
        assert probabilities(it) == pytest.approx(probabilities(right[face_id]), abs=2e-4)
        assert it.soft_label == (it.distribution[0] if it.distribution else None)
        values = [suggestion.probability for suggestion in it.distribution]
        assert values == sorted(values, reverse=True)
        # Each of them is rounded to four digits.
        assert sum(values) <= 1 + 5e-5 * len(values)
    assert subscriber.assignments == ours
    sizes: dict[str, int] = {}
    for it in right.values():
        if it.cluster_id is not None:
            sizes[it.cluster_id] = sizes.get(it.cluster_id, 0) + 1
    assert clustering.sizes() == sizes
    assert subscriber.sizes == sizes


def assert_is_dbscan(clustering: Clustering, names: list[str], distances: npt.NDArray[np.float64]) -> None:
    """Same noise, same core partition; every border with a nearest core."""
    parameters = clustering.parameters
    ours = assigned(clustering)
    assert ours.keys() == set(names)
    if not names:
        return
    theirs = DBSCAN(eps=parameters.eps, min_samples=parameters.min_samples, metric="precomputed").fit(distances)
    core = np.zeros(len(names), dtype=bool)
    core[theirs.core_sample_indices_] = True
    ours_core = np.array([ours[name].role is Role.CORE for name in names])
    ours_noise = np.array([ours[name].cluster_id is None for name in names])
    assert (ours_core == core).all()
    assert (ours_noise == (theirs.labels_ == -1)).all()
    pairs = {
        (ours[name].cluster_id, label)
        for name, label, is_core in zip(names, theirs.labels_, core, strict=True)
        if is_core
    }
    assert len(pairs) == len({cluster for cluster, _ in pairs}) == len({label for _, label in pairs})
    for i in np.flatnonzero(~core & ~ours_noise).tolist():
        nearest = distances[i][core].min()
        clusters = {ours[names[j]].cluster_id for j in np.flatnonzero(core & (distances[i] == nearest))}
        assert ours[names[i]].cluster_id in clusters
