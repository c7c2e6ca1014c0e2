"""Decisions through the real clusterer: they take effect, are published, and survive restarts, replays, other eps."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from consumers import cluster, index
from schemas.clusters import FaceAssigned
from schemas.decisions import DecisionUndone, FacesLinked, FacesSeparated, NameRejected
from schemas.topics import ASSIGNMENTS, LABELS, Tombstone
from settings import Settings
from stream.reading import read_to_end
from tests.builders.analyses import one_face_scan, one_face_scans
from tests.builders.decisions import a_decision, named
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, last_assigned

_FACES = 2838


@dataclass(frozen=True)
class Lfw:
    """Faces of Labeled Faces in the Wild, by the number that `analysed` gives them, and who they are."""

    vectors: np.ndarray
    people: list[str]

    def face(self, number: int) -> str:
        return f"face-{number:04}"


@pytest.fixture(scope="module")
def lfw(shared_data: Path) -> Lfw:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as data:
        return Lfw(np.asarray(data["E"][:_FACES]), [Path(name).parent.name for name in data["F"][:_FACES].tolist()])


@dataclass(frozen=True)
class Decided:
    """What an archivist decided about LFW: every hundredth face named, and some of each other kind."""

    hard: dict[str, str]
    rejected: dict[str, str]
    linked: list[tuple[str, str]]
    separated: list[tuple[str, str]]

    @classmethod
    def of(cls, lfw: Lfw, clusters: dict[str, FaceAssigned]) -> Decided:
        numbers = range(0, _FACES, 100)
        hard = {lfw.face(number): lfw.people[number] for number in numbers}
        rejected = {lfw.face(number + 1): lfw.people[number] for number in numbers}
        linked = [(lfw.face(number + 2), lfw.face(number + 52)) for number in numbers[:10]]
        together: dict[str, list[str]] = {}
        for face_id, face in sorted(clusters.items()):
            together.setdefault(str(face.cluster_id), []).append(face_id)
        separated = [(faces[0], faces[-1]) for faces in together.values() if len(faces) > 5][:10]
        return cls(hard, rejected, linked, separated)

    def publish(self, settings: Settings) -> None:
        decisions = [named(1, face_id, label, decision_id=f"n-{face_id}") for face_id, label in self.hard.items()]
        for face_id, label in self.rejected.items():
            decisions.append(a_decision(NameRejected, 1, decision_id=f"r-{face_id}", face_id=face_id, label_id=label))
        for kind, pairs in ((FacesLinked, self.linked), (FacesSeparated, self.separated)):
            for one, other in pairs:
                decisions.append(a_decision(kind, 1, decision_id=f"{one}-{other}", face_id=one, other_face_id=other))
        publish(settings.kafka, decisions)

    def assert_honoured(self, assigned: dict[str, FaceAssigned]) -> None:
        """Everything is there and honoured."""
        assert self.hard and self.rejected and self.linked and self.separated
        for face_id, label in self.hard.items():
            assert assigned[face_id].hard_label == label
        for face_id, label in self.rejected.items():
            assert assigned[face_id].hard_label is None
            assert label not in {share.label_id for share in assigned[face_id].distribution}
        for one, other in self.linked:
            assert assigned[one].cluster_id == assigned[other].cluster_id
        for one, other in self.separated:
            assert assigned[one].cluster_id != assigned[other].cluster_id


def test_decisions_outlive_other_eps_and_a_replay_from_scratch(settings: Settings, lfw: Lfw) -> None:
    publish(settings.kafka, one_face_scans(lfw.vectors))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        decided = Decided.of(lfw, last_assigned(settings))
        assert len(decided.separated) == 10
        decided.publish(settings)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        decided.assert_honoured(last_assigned(settings))
    with ExitStack() as stack:
        others = {"e31": 0.31, "e42": 0.42, "e44": 0.44, "replay": settings.clustering.eps}
        for generation, eps in others.items():
            changed = Settings.model_validate(settings.model_dump() | {"clustering": {"eps": eps}})
            stack.enter_context(running(changed, partial(cluster.run, generation=generation)))
        wait_until_done(
            settings.kafka, {f"cluster-{generation}": cluster.TOPICS for generation in others}, within_s=120
        )
        for generation in others:
            decided.assert_honoured(last_assigned(settings, generation))
    assert last_assigned(settings, "replay") == last_assigned(settings)


def test_a_restart_knows_the_decisions_with_and_without_a_snapshot_and_publishes_nothing_again(
    settings: Settings, lfw: Lfw
) -> None:
    publish(settings.kafka, [one_face_scan(number, lfw.vectors[number]) for number in range(300)])
    publish(settings.kafka, [named(1, lfw.face(7), lfw.people[7])])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    publish(settings.kafka, [a_decision(DecisionUndone, 2, undone_decision_id="001"), named(3, lfw.face(9), "someone")])
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    known = last_assigned(settings)
    assert [face.hard_label for face in (known[lfw.face(7)], known[lfw.face(9)])] == [None, "someone"]
    ends = sum(1 for _ in read_to_end(settings.kafka, ASSIGNMENTS))
    shutil.rmtree(settings.data / "snapshots" / "cluster")
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert sum(1 for _ in read_to_end(settings.kafka, ASSIGNMENTS)) == ends
    publish(settings.kafka, [Tombstone(LABELS, "003")])
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert last_assigned(settings)[lfw.face(9)].hard_label is None


def test_a_decision_about_a_face_that_is_not_there_yet_waits_for_it(settings: Settings, lfw: Lfw) -> None:
    publish(settings.kafka, [named(1, lfw.face(0), "grace"), named(2, lfw.face(1), "eileen")])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert last_assigned(settings) == {}
        publish(settings.kafka, [one_face_scan(0, lfw.vectors[0])])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert last_assigned(settings)[lfw.face(0)].hard_label == "grace"
        publish(settings.kafka, [one_face_scan(0, lfw.vectors[5])])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        again = last_assigned(settings)[lfw.face(0)]
        assert (again.analysis, again.hard_label) == (1, "grace")
