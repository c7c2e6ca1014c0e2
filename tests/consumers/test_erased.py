"""Consumers and erased faces: they are not published again, and what is kept of the others loses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consumers import cluster, index
from consumers.erased import MARK, ErasedFaces, without_kept_only
from erasure.digests import Digests, new_key
from errors import Fatal
from producers.erasure_plan import ErasedFace, Plan, record_of
from schemas.codec import encode
from schemas.erasures import KEPT_ONLY, ErasureState, FacesErased
from schemas.neighbours import NeighboursFound
from schemas.scans import Box, ScanPublished
from schemas.topics import ERASURES, NEIGHBOURS, SCANS, Record, Tombstone
from settings import Settings
from stream.erasures import Erasures, made_digests, write_safely
from stream.reading import latest_events
from stream.records import Received
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import NOON, wait_until
from tests.builders.feed import analysis, box, kept, scan
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments

SCAN = scan("album", "1.jpg", sha256="a" * 64)


class Recorded(Erasures):
    """Erasures that a test has made."""

    def __init__(self, *records: FacesErased) -> None:
        self._of_test = {record.erasure_id: record for record in records}

    def records(self) -> dict[str, FacesErased]:
        return self._of_test

    def offset_of(self, erasure_id: str) -> int | None:
        return 0 if erasure_id in self._of_test else None


def erased(digests: Digests, *, whole: bool = False, **faces: Box) -> FacesErased:
    """The record of an erasure of faces of SCAN."""
    plan = Plan(
        erasure_id="e",
        begun_at=NOON,
        what="face",
        scan_ids=(SCAN.scan_id,) if whole else (),
        faces=tuple(ErasedFace(face_id=one, scan_id=SCAN.scan_id, box=place) for one, place in faces.items()),
        pictures={SCAN.scan_id: (SCAN.sha256, SCAN.page)},
    )
    return record_of(plan, digests, ErasureState.SETTLED)


def left(settings: Settings, record: FacesErased, found: ScanPublished, **faces: Box) -> set[str]:
    """The faces that detect publishes of those that it has found on a scan."""
    analysed = ErasedFaces(settings, Recorded(record)).without(analysis(found, **faces), found)
    return {face.face_id for face in analysed.faces}


def test_an_erased_face_is_not_published_again_under_any_id_and_the_others_are(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    record = erased(made_digests(tmp_path / "erasures"), anna=box(0.1))
    near = Box(left=0.12, top=0.09, right=0.21, bottom=0.21)
    assert left(settings, record, SCAN, anna=box(0.1), bert=box(0.4)) == {"bert"}
    assert left(settings, record, SCAN, another_id=near, bert=box(0.4)) == {"bert"}
    assert left(settings, record, scan("album", "2.jpg"), other=box(0.1)) == {"other"}


def test_a_copy_of_the_picture_and_another_picture_of_the_scan_are_recognised(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    record = erased(made_digests(tmp_path / "erasures"), anna=box(0.1))
    copy = SCAN.model_copy(update={"scan_id": "elsewhere/copy.jpg"})
    assert left(settings, record, copy, new=box(0.1)) == set()
    assert left(settings, record, SCAN.model_copy(update={"sha256": "b" * 64}), new=box(0.1)) == set()


def test_a_face_that_keeps_its_id_beside_the_erased_one_stays(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    record = erased(made_digests(tmp_path / "erasures"), anna=box(0.1))
    keeping = SCAN.model_copy(update={"keep": (kept(analysis(SCAN, bert=box(0.12)), "bert"),)})
    assert left(settings, record, keeping, bert=box(0.12)) == {"bert"}


def test_a_scan_that_was_erased_has_no_faces_any_more(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    record = erased(made_digests(tmp_path / "erasures"), whole=True)
    assert left(settings, record, SCAN, anna=box(0.1), bert=box(0.4)) == set()


def test_without_the_key_nothing_is_published(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    record = erased(Digests(new_key()), anna=box(0.1))
    with pytest.raises(Fatal, match="without the key of the erasures nobody can see which faces were erased"):
        left(settings, record, SCAN, anna=box(0.1))
    (tmp_path / "erasures").mkdir()
    write_safely(tmp_path / "erasures" / "key", new_key().hex().encode())
    with pytest.raises(Fatal, match="recorded with another key"):
        left(settings, record, SCAN, anna=box(0.1))


def test_a_foreign_erasure_is_named_and_a_tombstone_is_the_way_out(settings: Settings) -> None:
    own = made_digests(settings.data / "erasures")
    foreign = erased(Digests(new_key()), anna=box(0.1)).model_copy(update={"erasure_id": "foreign"})
    publish(settings.kafka, [erased(own, anna=box(0.1)), foreign])
    found = analysis(SCAN, anna=box(0.1), bert=box(0.4))
    with Erasures(settings.kafka, look_every_s=0.0) as running:
        with pytest.raises(Fatal, match=r"another key than .* \(erasures 0/1\): .* a tombstone of its key 'foreign'"):
            ErasedFaces(settings, running).without(found, SCAN)
        publish(settings.kafka, [Tombstone(ERASURES, "foreign")])
        with Erasures(settings.kafka, look_every_s=0.0) as started:
            for erasures in (running, started):
                left_over = ErasedFaces(settings, erasures).without(found, SCAN)
                assert [face.face_id for face in left_over.faces] == ["bert"]


def test_a_scan_of_which_only_the_kept_faces_changed_is_passed_by() -> None:
    record = encode(SCAN, event_id="1", time=NOON)
    marked = Record(record.key, record.value, (*record.headers, (KEPT_ONLY, b"1")))
    received = [Received(SCANS.name, 0, number, one, SCAN) for number, one in enumerate((record, marked))]
    assert without_kept_only(received) == received[:1]


def test_neighbours_and_snapshots_lose_what_was_erased_while_the_consumers_run(settings: Settings) -> None:
    vectors = people(120, a_person=12)
    scans = one_face_scans(vectors)
    gone = scans[5]
    publish(settings.kafka, scans)
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        before = assignments(settings)
        plan = Plan(erasure_id="e", begun_at=NOON, what="face")
        digests = Digests(new_key())
        publish(settings.kafka, [gone.model_copy(update={"faces": ()})])
        publish(settings.kafka, [record_of(plan, digests, ErasureState.REWRITTEN)])
        folder = settings.data / "snapshots"
        wait_until((folder / "index" / MARK).exists, "the index does not write its snapshots again")
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        publish(settings.kafka, [record_of(plan, digests, ErasureState.SETTLED)])
        wait_until((folder / "cluster" / MARK).exists, "the clusterer does not write its snapshots again")

        def named_in(record: NeighboursFound) -> bool:
            return any("face-0005" in (face.face_id, *face.neighbours) for face in record.faces)

        assert not any(latest_events(settings.kafka, NEIGHBOURS, NeighboursFound, named_in).values())
        contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        embedding = gone.faces[0].embedding
        assert not any(embedding in content or b"face-0005" in content for content in contents)
        assert np.float32(vectors[6]).tobytes() in b"".join(contents)
    after = assignments(settings)
    assert after.keys() == before.keys() - {"face-0005"}
    assert {one: after[one] for one in after if before[one] != "face-0005"} == {
        one: before[one] for one in after if before[one] != "face-0005"
    }
