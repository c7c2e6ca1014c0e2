"""The step of the cluster consumer with the settings that a person gives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clustering.clustering import Clustering
from consumers.cluster import parameters_of, step
from errors import Fatal
from schemas.clusters import FaceAssigned, Role
from schemas.codec import encode
from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS, Tombstone
from settings import Settings
from stream.records import Received
from tests.builders.clock import NOON
from tests.builders.neighbours import record

ONE = record("s1", 0, {"one": ()}, shards=1)
OTHER = record("s2", 1, {"other": ()}, shards=1)
BETWEEN = record("s3", 2, {"between": [("one", 0, 0.30), ("other", 1, 0.35)]}, shards=1, blurred=["between"])


def assignments_of(found: Sequence[NeighboursFound]) -> dict[str, FaceAssigned]:
    """The assignments that a clusterer with the settings of the environment makes of these records."""
    clustering = Clustering(parameters_of(Settings().clustering))
    batch = [
        Received(NEIGHBOURS.name, 0, offset, encode(one, event_id="1", time=NOON), one)
        for offset, one in enumerate(found)
    ]
    outputs = step(clustering, batch).outputs
    return {assigned.face_id: assigned for assigned in outputs if isinstance(assigned, FaceAssigned)}


def test_without_gates_a_face_near_two_people_merges_their_clusters() -> None:
    assert {assigned.cluster_id for assigned in assignments_of([ONE, OTHER, BETWEEN]).values()} == {"one"}


@pytest.mark.parametrize("gate", ["MIN_SHARPNESS", "MIN_SIZE_PX", "MIN_SCORE"])
def test_a_face_below_a_gate_joins_a_cluster_and_merges_none(monkeypatch: pytest.MonkeyPatch, gate: str) -> None:
    face = BETWEEN.faces[0]
    poor: dict[str, dict[str, object]] = {
        "MIN_SHARPNESS": {"quality": face.quality.model_copy(update={"sharpness": 49.0})},
        "MIN_SIZE_PX": {"quality": face.quality.model_copy(update={"size_px": 49.0})},
        "MIN_SCORE": {"score": 0.5},
    }
    between = BETWEEN.model_copy(update={"faces": (face.model_copy(update=poor[gate]),)})
    monkeypatch.setenv(f"FACESTREAM_CLUSTERING__{gate}", "0.9" if gate == "MIN_SCORE" else "50")
    assigned = assignments_of([ONE, OTHER, between])
    assert (assigned["one"].cluster_id, assigned["other"].cluster_id) == ("one", "other")
    assert (assigned["between"].cluster_id, assigned["between"].role) == ("one", Role.BORDER)


def test_two_faces_of_one_scan_are_two_people_but_for_near_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_CLUSTERING__SAME_SCAN_EPS", "0.1")
    scan = record("s", 0, {"a": [("mirrored", 0, 0.05), ("b", 0, 0.3)], "b": (), "mirrored": ()}, shards=1)
    assigned = assignments_of([scan])
    assert {face_id: face.cluster_id for face_id, face in assigned.items()} == {"a": "a", "mirrored": "a", "b": "b"}


def test_an_eps_beyond_what_was_searched_stops_the_consumer_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_CLUSTERING__EPS", "0.6")
    monkeypatch.setenv("FACESTREAM_CLUSTERING__EPS_MAX", "0.7")
    with pytest.raises(Fatal, match=r"holds neighbours up to eps_max 0\.5 only, but eps is 0\.6"):
        assignments_of([record(f"s{number}", number, {f"{number}": ()}, shards=1, eps_max=0.5) for number in range(2)])


def received(offset: int, message: NeighboursFound | Tombstone) -> Received:
    """A record of `neighbours`."""
    return Received(NEIGHBOURS.name, 0, offset, encode(message, event_id="1", time=NOON), message)


def test_a_single_record_that_reaches_less_far_than_eps_is_a_dead_letter() -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    short = record("short", 3, {"short": ()}, shards=1, eps_max=0.01)
    publication = step(clustering, [received(0, ONE), received(1, short), received(2, OTHER)])
    assert {output.key for output in publication.keyed} == {"one", "other"}
    (rejected,) = publication.rejected
    assert "holds neighbours up to eps_max 0.01 only, but eps is 0.37" in rejected.reason
    (rejected,) = step(clustering, [received(3, short)]).rejected
    assert rejected.consumed.offset == 3


def test_a_face_that_another_scan_has_is_a_dead_letter_until_that_scan_is_withdrawn() -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    claim = record("claiming", 3, {"one": (), "more": ()}, shards=1)
    (rejected,) = step(clustering, [received(0, ONE), received(1, claim)]).rejected
    assert rejected.reason == "face 'one' belongs to another scan, 's1'"
    publication = step(clustering, [received(2, Tombstone(NEIGHBOURS, "0/s1")), received(3, claim)])
    assert not publication.rejected
    assert {output.key for output in publication.keyed} == {"one", "more"}


def test_an_older_analysis_neither_takes_faces_from_other_scans_nor_gives_back_those_of_its_own() -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    latest = record("s1", 5, {"one": ()}, shards=1)
    older = record("s1", 4, {"other": ()}, shards=1)
    claim = record("claiming", 6, {"one": ()}, shards=1)
    publication = step(clustering, [received(0, latest), received(1, older), received(2, OTHER), received(3, claim)])
    assert [rejected.consumed.offset for rejected in publication.rejected] == [3]
    assert {output.key for output in publication.keyed} == {"one", "other"}
    publication = step(clustering, [received(4, older), received(5, claim)])
    assert [rejected.consumed.offset for rejected in publication.rejected] == [5]


def test_a_record_that_is_refused_as_too_short_takes_no_faces_from_one_of_the_same_batch() -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    short = record("short", 3, {"one": ()}, shards=1, eps_max=0.01)
    publication = step(clustering, [received(0, short), received(1, ONE), received(2, OTHER)])
    assert [rejected.consumed.offset for rejected in publication.rejected] == [0]
    assert {output.key for output in publication.keyed} == {"one", "other"}


def test_a_record_that_is_refused_as_too_short_gives_back_no_faces_of_its_scan() -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    step(clustering, [received(0, ONE), received(1, OTHER)])
    short = record("s1", 4, {"more": ()}, shards=1, eps_max=0.01)
    claim = record("claiming", 5, {"one": ()}, shards=1)
    publication = step(clustering, [received(2, short), received(3, claim)])
    assert [rejected.consumed.offset for rejected in publication.rejected] == [2, 3]
    assert not publication.keyed


@pytest.mark.parametrize("key", ["s1", "x/s1", "256/s1", "00/s1", "0/", "\u00b2/s1", f"{'9' * 5000}/s1"])
def test_a_tombstone_with_another_key_is_a_dead_letter(key: str) -> None:
    clustering = Clustering(parameters_of(Settings().clustering))
    (rejected,) = step(clustering, [received(0, Tombstone(NEIGHBOURS, key))]).rejected
    assert "not a key of `neighbours`" in rejected.reason
