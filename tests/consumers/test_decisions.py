"""Decisions through the real clusterer: they take effect, are published, and survive restarts, replays, another eps."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from consumers import cluster, index
from schemas.clusters import FaceAssigned
from schemas.decisions import DecisionUndone, FacesLinked, FacesSeparated, NameRejected
from schemas.topics import ASSIGNMENTS, LABELS, Tombstone
from settings import Settings
from stream.reading import read_to_end
from tests.builders.analyses import Album, album, one_face_scan, one_face_scans
from tests.builders.decisions import a_decision, named
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, last_assigned

_FACES = 2838


def face_id(number: int) -> str:
    """The id that a one-face scan gives its face."""
    return f"face-{number:04}"


@pytest.fixture(scope="module")
def photographs() -> Album:
    return album(_FACES, a_person=6)


@dataclass(frozen=True)
class Decided:
    """What an archivist decided about an album: every hundredth face named, and some of each other kind."""

    hard: dict[str, str]
    rejected: dict[str, str]
    linked: list[tuple[str, str]]
    separated: list[tuple[str, str]]

    @classmethod
    def of(cls, photographs: Album, clusters: dict[str, FaceAssigned]) -> Decided:
        numbers = range(0, _FACES, 100)
        hard = {face_id(number): photographs.names[number] for number in numbers}
        rejected = {face_id(number + 1): photographs.names[number] for number in numbers}
        linked = [(face_id(number + 2), face_id(number + 52)) for number in numbers[:10]]
        together: dict[str, list[str]] = {}
        for face, it in sorted(clusters.items()):
            together.setdefault(str(it.cluster_id), []).append(face)
        separated = [(faces[0], faces[-1]) for faces in together.values() if len(faces) > 5][:10]
        return cls(hard, rejected, linked, separated)

    def publish(self, settings: Settings) -> None:
        decisions = [named(1, face, label, decision_id=f"n-{face}") for face, label in self.hard.items()]
        for face, label in self.rejected.items():
            decisions.append(a_decision(NameRejected, 1, decision_id=f"r-{face}", face_id=face, label_id=label))
        for kind, pairs in ((FacesLinked, self.linked), (FacesSeparated, self.separated)):
            for one, other in pairs:
                decisions.append(a_decision(kind, 1, decision_id=f"{one}-{other}", face_id=one, other_face_id=other))
        publish(settings.kafka, decisions)

    def assert_honoured(self, assigned: dict[str, FaceAssigned]) -> None:
        """Everything is there and honoured."""
        assert self.hard and self.rejected and self.linked and self.separated
        for face, label in self.hard.items():
            assert assigned[face].hard_label == label
        for face, label in self.rejected.items():
            assert assigned[face].hard_label is None
            assert label not in {it.label_id for it in assigned[face].distribution}
        for one, other in self.linked:
            assert assigned[one].cluster_id == assigned[other].cluster_id
        for one, other in self.separated:
            assert assigned[one].cluster_id != assigned[other].cluster_id


def test_decisions_outlive_other_eps_and_a_replay_from_scratch(settings: Settings, photographs: Album) -> None:
    publish(settings.kafka, one_face_scans(photographs.vectors))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        decided = Decided.of(photographs, last_assigned(settings))
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


def test_a_restart_knows_the_decisions_with_and_without_a_snapshot_and_says_nothing_again(
    settings: Settings, photographs: Album
) -> None:
    publish(settings.kafka, [one_face_scan(number, photographs.vectors[number]) for number in range(300)])
    publish(settings.kafka, [named(1, face_id(7), photographs.names[7])])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    publish(settings.kafka, [a_decision(DecisionUndone, 2, undone_decision_id="001"), named(3, face_id(9), "someone")])
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    known = last_assigned(settings)
    assert [it.hard_label for it in (known[face_id(7)], known[face_id(9)])] == [None, "someone"]
    ends = sum(1 for _ in read_to_end(settings.kafka, ASSIGNMENTS))
    shutil.rmtree(settings.data / "snapshots" / "cluster")
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert sum(1 for _ in read_to_end(settings.kafka, ASSIGNMENTS)) == ends
    publish(settings.kafka, [Tombstone(LABELS, "003")])
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert last_assigned(settings)[face_id(9)].hard_label is None


def test_a_decision_about_a_face_that_is_not_there_yet_waits_for_it(settings: Settings, photographs: Album) -> None:
    publish(settings.kafka, [named(1, face_id(0), "grace"), named(2, face_id(1), "eileen")])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert last_assigned(settings) == {}
        publish(settings.kafka, [one_face_scan(0, photographs.vectors[0])])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert last_assigned(settings)[face_id(0)].hard_label == "grace"
        publish(settings.kafka, [one_face_scan(0, photographs.vectors[5])])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        again = last_assigned(settings)[face_id(0)]
        assert (again.analysis, again.hard_label) == (1, "grace")
