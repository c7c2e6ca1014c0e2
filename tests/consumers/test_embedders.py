"""An archive goes over to another embedder: what the index and the clusterer do before, meanwhile and afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consumers import cluster, index
from consumers.embedders import check_most_are_of
from errors import Fatal
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from models.descriptions import DLIB_SPACE, Space, space_of
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES as FACES_TOPIC
from schemas.topics import NEIGHBOURS
from settings import Settings
from stream.reading import read_to_end
from stream.records import Received, Rejected
from tests.builders import networks
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import NOON
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments, dbscan_clusters

FACES = 60
OF_DLIB = people(FACES, a_person=5)
_PEOPLE = np.random.default_rng(3).normal(size=(12, 16))
# Of other groups than those by dlib's.
OF_OTHER = (np.repeat(_PEOPLE, 5, axis=0) / 4 + 0.01 * np.random.default_rng(4).normal(size=(FACES, 16))).astype(
    np.float32
)


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedder")
    return networks.described(folder, networks.embedder(folder / "net.onnx"), networks.EMBEDDER)


@pytest.fixture
def space(description: Path) -> Space:
    return space_of(str(description))


@pytest.fixture
def other(settings: Settings, description: Path) -> Settings:
    """The settings of an archive with the other embedder."""
    clustering = {"distance": "euclidean", "eps": 0.3, "eps_max": 0.5}
    changed = {"models": {"embedder": str(description)}, "clustering": clustering}
    return Settings.model_validate(settings.model_dump() | changed)


def test_the_index_goes_over_when_most_scans_are_analysed_with_the_other_embedder_and_clusters_follow(
    settings: Settings, other: Settings, space: Space
) -> None:
    publish(settings.kafka, one_face_scans(OF_DLIB))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    before = assignments(settings)
    assert before == dbscan_clusters(OF_DLIB, 0.37)

    again = one_face_scans(OF_OTHER, embedder=space.embedder)
    publish(settings.kafka, again[:10])
    with (
        pytest.raises(Fatal, match=rf"^50 scans are analysed with the embedder \w{{64}}, and 10 with {space.embedder}"),
        running(other, index.run) as futures,
    ):
        futures[0].result(timeout=60)
    assert assignments(settings) == before

    publish(settings.kafka, again[10:])
    # The clusterer waits for the index, and publishes nothing before.
    with running(other, cluster.run), running(other, index.run):
        wait_until_done(other.kafka, INDEX_AND_CLUSTER)
    assert assignments(other) == dbscan_clusters(OF_OTHER, 0.3)
    latest = {
        it.message.scan_id: it.message
        for it in read_to_end(other.kafka, NEIGHBOURS)
        if isinstance(it.message, NeighboursFound)
    }
    assert {it.embedder for it in latest.values()} == {space.embedder}

    # Somebody leaves the setting out: nothing is undone.
    left_out = r"^60 scans are analysed with the embedder small-\w+, and 0 with \w{64}, which is set"
    with pytest.raises(Fatal, match=left_out), running(settings, index.run) as futures:
        futures[0].result(timeout=60)
    assert assignments(other) == dbscan_clusters(OF_OTHER, 0.3)


def test_an_analysis_by_another_embedder_is_there_without_neighbours_while_the_index_goes_on(
    settings: Settings, space: Space
) -> None:
    publish(settings.kafka, one_face_scans(OF_DLIB[:20]))
    foreign = one_face_scans(OF_OTHER[:1], first=20, embedder=space.embedder)
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        publish(settings.kafka, foreign)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert assignments(settings) == dbscan_clusters(OF_DLIB[:20], 0.37) | {"face-0020": "face-0020"}


def test_embeddings_of_another_length_than_the_embedder_s_are_dead_letters(space: Space) -> None:
    (scan,) = one_face_scans(OF_DLIB[:1], embedder=space.embedder)
    received = Received(FACES_TOPIC.name, 0, 0, encode(scan, event_id="1", time=NOON), scan)
    of_other = FaceIndex(IndexParameters(embedder=space.embedder, dimension=space.dimension))
    (rejected,) = index.step(of_other, [received])
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "an embedding of its embedder has 16 numbers, these have 128"


def test_an_analysis_of_another_length_takes_no_faces_and_gives_none_back(space: Space) -> None:
    of_other = FaceIndex(IndexParameters(embedder=space.embedder, dimension=space.dimension))
    (good,) = one_face_scans(OF_OTHER[:1], embedder=space.embedder)
    (long,) = one_face_scans(OF_DLIB[:1], embedder=space.embedder)

    def refused(*batch: ScanAnalysed) -> list[int]:
        received = [
            Received(FACES_TOPIC.name, 0, offset, encode(one, event_id="1", time=NOON), one)
            for offset, one in enumerate(batch)
        ]
        entries, rejected = index.index_entries(of_other, received)
        of_other.apply(entries)
        return [one.consumed.offset for one in rejected]

    assert refused(long.model_copy(update={"scan_id": "claims"}), good) == [0]
    without = long.model_copy(update={"faces": (long.faces[0].model_copy(update={"face_id": "more"}),)})
    assert refused(without, good.model_copy(update={"scan_id": "claims"})) == [0, 1]


def test_an_archive_without_faces_is_anybody_s(other: Settings, space: Space) -> None:
    check_most_are_of(other.kafka, space)
    check_most_are_of(other.kafka, DLIB_SPACE)
