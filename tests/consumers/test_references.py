"""The calibrated distance through Kafka: the reference is a record, and another one takes effect on a restart."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from calibration.builtin import builtin_reference
from calibration.reference import Reference
from clustering.clustering import Clustering
from consumers import cluster, index
from consumers.cluster import parameters_of
from consumers.index import parameters_of as index_parameters_of
from consumers.references import (
    FollowedReference,
    await_embedder,
    event_of,
    followed_reference,
    published_measure,
    reference_from,
    reference_of,
    should_calibrate,
)
from errors import Fatal
from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.codec import encode
from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS, Tombstone
from settings import Settings
from stream.reading import read_to_end
from telemetry.health import health
from tests.builders.analyses import album, one_face_scans
from tests.builders.clock import NOON, wait_until
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.neighbours import record
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments
from tests.builders.references import reference as strangers

EUCLIDEAN = {"distance": "euclidean"}

_FACES = np.random.default_rng(1).permutation(album(400, a_person=6).vectors)


@pytest.fixture(scope="module")
def reference() -> Reference:
    """One of strangers of the same kind."""
    return strangers(album(320, 1, seed=7).vectors, album(320, 1, seed=8).vectors, level=-0.01)


@pytest.fixture
def calibrated(settings: Settings) -> Settings:
    return with_clustering(settings, distance="calibrated")


def with_clustering(settings: Settings, **clustering: str | None) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"clustering": clustering})


def expected(settings: Settings, reference: Reference | None, faces: int) -> dict[str, str | None]:
    """The clusters of the first faces, without Kafka."""
    one = FaceIndex(index_parameters_of(settings, reference))
    clustering = Clustering(parameters_of(settings.clustering, None if reference is None else reference.name))
    entries = [Analysed(number, scan) for number, scan in enumerate(one_face_scans(_FACES[:faces]))]
    clustering.apply([it for it in one.apply(entries) if isinstance(it, NeighboursFound)])
    return {it.face_id: it.cluster_id for it in clustering.assignments()}


def test_a_published_reference_is_the_one_that_was_drawn(reference: Reference) -> None:
    read = reference_from(event_of(reference, NOON))
    assert read.name == reference.name
    assert (read.offsets(_FACES) == reference.offsets(_FACES)).all()
    damaged = event_of(reference, NOON).model_copy(update={"level": 0.3})
    with pytest.raises(Fatal, match="is damaged"):
        reference_from(damaged)
    assert len(encode(event_of(reference, NOON), event_id="1", time=NOON).value or b"") < 2**20


def test_the_reference_of_the_settings_counts_then_the_last_drawn_then_the_built_in(
    calibrated: Settings, reference: Reference
) -> None:
    assert reference_of(calibrated) is builtin_reference()
    publish(calibrated.kafka, [event_of(strangers(_FACES[:50]), NOON), event_of(reference, NOON)])
    for wanted, name in (
        (None, reference.name),
        ("builtin", builtin_reference().name),
        (reference.name, reference.name),
    ):
        found = reference_of(with_clustering(calibrated, distance="calibrated", reference=wanted))
        assert found is not None
        assert found.name == name
    with pytest.raises(Fatal, match=r"there is no reference 'lost': there are builtin, .*facestream calibrate"):
        reference_of(with_clustering(calibrated, distance="calibrated", reference="lost"))
    assert reference_of(with_clustering(calibrated)) is None


def test_the_clusters_are_those_of_the_library_and_restarts_search_nothing_again(
    calibrated: Settings, reference: Reference
) -> None:
    publish(calibrated.kafka, [event_of(reference, NOON)])
    for some in (slice(0, 150), slice(150, 400)):
        publish(calibrated.kafka, one_face_scans(_FACES)[some])
        with running(calibrated, index.run, cluster.run):
            wait_until_done(calibrated.kafka, INDEX_AND_CLUSTER)
    right = expected(calibrated, reference, 400)
    assert assignments(calibrated) == right
    assert 60 < len(set(right.values())) < 200
    records = [it.message for it in read_to_end(calibrated.kafka, NEIGHBOURS)]
    assert len(records) == 400
    assert {it.reference for it in records if isinstance(it, NeighboursFound)} == {reference.name}


def test_after_another_reference_a_restart_publishes_all_neighbours_again_and_clusters_follow(
    settings: Settings, calibrated: Settings, reference: Reference
) -> None:
    """From Euclidean distances to the built-in reference, to one of the archive's own, and back."""
    own = with_clustering(calibrated, distance="calibrated", reference=reference.name)
    publish(settings.kafka, [*one_face_scans(_FACES[:200]), event_of(reference, NOON)])
    built_in = with_clustering(calibrated, distance="calibrated", reference="builtin")
    for now, used in ((settings, None), (built_in, builtin_reference()), (own, reference), (settings, None)):
        with running(now, index.run):
            wait_until_done(now.kafka, {index.GROUP: INDEX_AND_CLUSTER[index.GROUP]})
            deadline = time.monotonic() + 60
            while published_measure(now) != (used and used.name):
                assert time.monotonic() < deadline, "not published again"
                time.sleep(0.1)
            with running(now, cluster.run):
                wait_until_done(now.kafka, INDEX_AND_CLUSTER)
        assert followed_reference(now) == (used and used.name)
        assert assignments(now) == expected(now, used, 200)


def test_a_clusterer_stops_with_one_line_when_the_index_goes_over_to_another_reference(
    calibrated: Settings, reference: Reference
) -> None:
    publish(calibrated.kafka, one_face_scans(_FACES[:50]))
    with running(calibrated, index.run, cluster.run):
        wait_until_done(calibrated.kafka, INDEX_AND_CLUSTER)
    publish(calibrated.kafka, [event_of(reference, NOON)])
    stops = pytest.raises(Fatal, match=rf"the index went over from the reference .* to the reference {reference.name}")
    with stops, running(calibrated, cluster.run) as futures, running(calibrated, index.run):
        futures[0].exception(timeout=60)
    with running(calibrated, cluster.run):
        wait_until_done(calibrated.kafka, INDEX_AND_CLUSTER)
    assert assignments(calibrated) == expected(calibrated, reference, 50)


def test_a_foreign_record_of_neighbours_is_named_and_a_tombstone_is_the_way_out(settings: Settings) -> None:
    own, foreign = record("s", 0, {"face": ()}), record("foreign", 1, {})
    foreign = foreign.model_copy(update={"reference": "0123456789abcdef"})
    publish(settings.kafka, [own])
    followed = FollowedReference(Settings.model_validate(settings.model_dump() | {"clustering": EUCLIDEAN}))
    publish(settings.kafka, [foreign])
    received = list(read_to_end(settings.kafka, NEIGHBOURS))
    line = r"\(neighbours 0/1\): start the clustering again, .* a tombstone of its key '0/foreign'"
    with pytest.raises(Fatal, match=line):
        followed.check(received)
    publish(settings.kafka, [Tombstone(NEIGHBOURS, foreign.key)])
    followed.check(received)
    assert published_measure(settings) == own.measure


def test_a_clusterer_that_waits_for_the_index_is_alive(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    of_another = record("s", 0, {"face": ()}).model_copy(update={"embedder": "net-0123456789abcdef"})
    publish(settings.kafka, [of_another])
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(await_embedder, settings, stop)
        try:
            for _ in range(2):
                monkeypatch.setattr(health, "_turned_at", -1e9)
                wait_until(lambda: health.is_alive, "it does not turn", 30)
            assert not waiting.done()
        finally:
            stop.set()
        waiting.result(timeout=60)


def test_calibrating_is_proposed_to_a_large_archive_without_a_reference_of_its_own(
    calibrated: Settings, reference: Reference
) -> None:
    assert should_calibrate(calibrated, 2_500)
    assert not should_calibrate(calibrated, 2_499)
    assert not should_calibrate(with_clustering(calibrated, distance="euclidean"), 10_000)
    assert not should_calibrate(with_clustering(calibrated, distance="calibrated", reference="builtin"), 10_000)
    publish(calibrated.kafka, [event_of(reference, NOON)])
    assert not should_calibrate(calibrated, 10_000)
