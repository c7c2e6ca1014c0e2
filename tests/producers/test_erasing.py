"""What an erasure takes out of the topics, on a real broker."""

from __future__ import annotations

import numpy as np
import pytest

from consumers.references import event_of
from erasure.digests import Digests, new_key
from errors import UserError
from producers.decisions import read_decisions
from producers.erasing import Eraser
from producers.erasing_logs import rewrite_logs
from producers.erasure_archive import Archive
from producers.erasure_plan import record_of
from schemas.clusters import Change, ClusterChanged
from schemas.erasures import KEPT_ONLY, ErasureState
from schemas.faces import ScanAnalysed
from schemas.references import ReferenceDrawn
from schemas.scans import ScanPublished
from schemas.topics import CLUSTERS, FACES, REFERENCES, SCANS, Tombstone
from settings import KafkaSettings
from stream.reading import latest_events, read_to_end
from tests.builders.clock import NOON
from tests.builders.decisions import linked, merged, named, renamed, undone
from tests.builders.feed import analysis, box, kept, scan
from tests.builders.kafka import publish
from tests.builders.references import reference

DIGESTS = Digests(new_key())
VECTORS = np.random.default_rng(3).normal(0, 0.1, (60, 128)).astype("<f4")


def with_embeddings(analysed: ScanAnalysed, *numbers: int) -> ScanAnalysed:
    faces = [
        face.model_copy(update={"embedding": VECTORS[number].tobytes()})
        for face, number in zip(analysed.faces, numbers, strict=True)
    ]
    return analysed.model_copy(update={"faces": tuple(faces)})


ONE, TWO, COPY = (scan("album", f"{number}.jpg", sha256=f"{number}" * 64) for number in (1, 2, 3))
ON_ONE = with_embeddings(analysis(ONE, anna=box(0.1), bert=box(0.4)), 0, 1)
ON_TWO = with_embeddings(analysis(TWO, anna2=box(0.1), carl=box(0.5)), 2, 3)
# The picture of the first scan, under another id.
ON_COPY = with_embeddings(analysis(COPY, annas_copy=box(0.1)), 0)


@pytest.fixture
def archive(empty_kafka: KafkaSettings) -> KafkaSettings:
    keeping = TWO.model_copy(update={"keep": (kept(ON_TWO, "anna2"), kept(ON_TWO, "carl"))})
    decisions = [
        named(1, "anna", "anna-tamm"),
        named(2, "anna2", "anna-t"),
        merged(3, "anna-tamm", "anna-t"),
        renamed(4, "anna-tamm", "Anna Tamm"),
        named(5, "bert", "bert"),
        linked(6, "anna", "bert"),
        undone(7, "006"),
        named(8, "carl", "carl"),
    ]
    publish(empty_kafka, [ONE, keeping, COPY, ON_ONE, ON_TWO, ON_COPY, *decisions])
    return empty_kafka


def faces_in(kafka: KafkaSettings) -> dict[str, set[str]]:
    return latest_events(kafka, FACES, ScanAnalysed, lambda one: {face.face_id for face in one.faces})


def test_a_person_is_the_faces_with_their_name_under_all_label_ids_and_copies_of_these(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_person("anna tamm", NOON, proposed=False)
    assert plan.face_ids == {"anna", "anna2", "annas_copy"}
    assert plan.label_ids == ("anna-t", "anna-tamm")
    assert plan.decision_ids == ("001", "002", "003", "004", "006", "007")
    assert plan.embeddings == {VECTORS[0].tobytes(), VECTORS[2].tobytes()}
    Eraser(archive, plan, DIGESTS, lambda: NOON).rewrite({})
    assert faces_in(archive) == {"album/1.jpg": {"bert"}, "album/2.jpg": {"carl"}, "album/3.jpg": set()}
    assert {one.decision_id for one in read_decisions(archive)} == {"005", "008"}
    scans = latest_events(archive, SCANS, ScanPublished, lambda one: [face.face_id for face in one.keep])
    assert scans == {"album/1.jpg": [], "album/2.jpg": ["carl"], "album/3.jpg": []}
    assert Archive(archive).plan_for_face("bert", NOON).face_ids == {"bert"}
    with pytest.raises(UserError, match="nobody is called anna tamm"):
        Archive(archive).plan_for_person("anna tamm", NOON, proposed=False)


def test_what_is_repeated_publishes_nothing_more(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_face("anna2", NOON)
    eraser = Eraser(archive, plan, DIGESTS, lambda: NOON)
    eraser.rewrite({})
    before = [len(list(read_to_end(archive, topic))) for topic in (SCANS, FACES)]
    assert eraser.rewrite({}) == {}
    assert [len(list(read_to_end(archive, topic))) for topic in (SCANS, FACES)] == before


def test_a_scan_of_which_only_the_kept_faces_changed_is_not_analysed_again(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_face("anna2", NOON)
    every = {(SCANS.name, number): 1000 for number in range(SCANS.partitions)}
    Eraser(archive, plan, DIGESTS, lambda: NOON).rewrite(every)
    *_, last = [one for one in read_to_end(archive, SCANS) if one.record.key == b"album/2.jpg"]
    assert KEPT_ONLY in dict(last.record.headers)


def test_a_scan_goes_with_all_its_faces(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_scan("album/2.jpg", NOON)
    assert plan.face_ids == {"anna2", "carl"}
    assert plan.scan_ids == ("album/2.jpg",)
    assert plan.texts == (("album/2.jpg", "scan id"),)
    Eraser(archive, plan, DIGESTS, lambda: NOON).rewrite({})
    assert set(faces_in(archive)) == {"album/1.jpg", "album/3.jpg"}
    *_, last = [one.message for one in read_to_end(archive, SCANS) if one.record.key == b"album/2.jpg"]
    assert last == Tombstone(SCANS, "album/2.jpg")


def test_a_record_of_an_erasure_names_nobody_and_nothing(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_person("anna-tamm", NOON, proposed=False)
    record = record_of(plan, DIGESTS, ErasureState.BEGUN)
    text = record.model_dump_json()
    assert not any(word in text for word in ("album", "anna", "Anna", "1" * 64, "0.1"))
    assert len(record.faces) == 3
    assert len(record.scans) == 3


def test_an_older_state_is_erased_again_by_the_record_alone(archive: KafkaSettings) -> None:
    plan = Archive(archive).plan_for_person("anna-tamm", NOON, proposed=False)
    record = record_of(plan, DIGESTS, ErasureState.SETTLED)
    again = Archive(archive).plan_again([record], DIGESTS, NOON)
    assert (again.face_ids, again.decision_ids) == (plan.face_ids, plan.decision_ids)
    # The same face after another analysis, which gave it another id.
    other = with_embeddings(analysis(ONE, new=box(0.1), bert=box(0.4)), 20, 1)
    publish(archive, [other])
    assert Archive(archive).plan_again([record], DIGESTS, NOON).face_ids == plan.face_ids | {"new"}


def test_a_reference_is_replaced_by_one_without_the_face(archive: KafkaSettings) -> None:
    banks = [VECTORS[20:40], np.concatenate([VECTORS[:1], VECTORS[40:59]])]
    drawn = event_of(reference(*banks), NOON)
    publish(archive, [drawn])
    Eraser(archive, Archive(archive).plan_for_face("anna", NOON), DIGESTS, lambda: NOON).rewrite({})
    (left,) = latest_events(archive, REFERENCES, ReferenceDrawn, lambda one: one).values()
    assert left.name != drawn.name
    assert [len(bank) // 512 for bank in left.banks] == [20, 19]
    assert VECTORS[0].tobytes() not in left.banks[1]


def test_changes_of_clusters_lead_past_an_erased_face(archive: KafkaSettings) -> None:
    publish(
        archive,
        [
            ClusterChanged(cluster_id="carl", change=Change.CREATED, size=2),
            ClusterChanged(cluster_id="carl", change=Change.MERGED, size=0, successor="anna"),
            ClusterChanged(cluster_id="anna", change=Change.GROWN, size=3),
            ClusterChanged(cluster_id="anna", change=Change.RETIRED, size=0, successor="bert"),
        ],
    )
    plan = Archive(archive).plan_for_face("anna", NOON)
    assert set(rewrite_logs(archive, plan, lambda: NOON)) == {CLUSTERS.name}
    left = [one.message for one in read_to_end(archive, CLUSTERS)]
    assert [(it.cluster_id, it.successor) for it in left if isinstance(it, ClusterChanged)] == [
        ("carl", None),
        ("carl", "bert"),
    ]


def test_who_is_unknown_is_refused_and_nothing_is_erased(archive: KafkaSettings) -> None:
    known = Archive(archive)
    with pytest.raises(UserError, match="no scan 'nowhere' is published, and none is held"):
        known.plan_for_scan("nowhere", NOON)
    with pytest.raises(UserError, match="3 faces have an id that is or begins with 'ann'"):
        known.plan_for_face("ann", NOON)
    with pytest.raises(UserError, match="nobody is called Dora"):
        known.plan_for_person("Dora", NOON, proposed=True)


def test_an_erasure_that_was_cut_off_takes_what_a_restored_backup_brought_back_along(archive: KafkaSettings) -> None:
    known = Archive(archive)
    earlier = known.plan_for_person("anna-tamm", NOON, proposed=False)
    cut_off = known.plan_for_scan("album/2.jpg", NOON)
    both = cut_off.and_again(known.plan_again([record_of(earlier, DIGESTS, ErasureState.SETTLED)], DIGESTS, NOON))
    assert (both.erasure_id, both.what) == (cut_off.erasure_id, "again")
    assert both.face_ids == earlier.face_ids | cut_off.face_ids
    assert set(both.decision_ids) == {*earlier.decision_ids, *cut_off.decision_ids}
    assert both.scan_ids == ("album/2.jpg",)
