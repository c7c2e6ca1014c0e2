"""The ids of faces: the same for the same rectangle, and kept from an earlier analysis where boxes overlap."""

from __future__ import annotations

from datetime import UTC, datetime

from models.face_ids import face_ids
from models.protocols import Detection
from schemas.scans import Box, KeptFace, ScanPublished

# Three faces beside each other on a scan of 1000 x 1000 pixels.
FACES = [Detection(left, 100, left + 100, 200, 1.0) for left in (100, 400, 700)]


def scan(*keep: KeptFace, scan_id: str = "album/1") -> ScanPublished:
    return ScanPublished(
        scan_id=scan_id,
        uri="file:///album/1.jpg",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection="album",
        published_at=datetime(2026, 1, 2, tzinfo=UTC),
        keep=keep,
    )


def box(face: Detection, moved: int = 0) -> Box:
    """A detection relative to the scan, moved to the right by so many pixels."""
    return Box(
        left=(face.left + moved) / 1000,
        top=face.top / 1000,
        right=(face.right + moved) / 1000,
        bottom=face.bottom / 1000,
    )


def ids_of(published: ScanPublished, faces: list[Detection] = FACES) -> list[str]:
    return face_ids(published, faces, [box(face) for face in faces])


def test_a_new_id_is_of_the_scan_and_the_rectangle_only() -> None:
    ids = ids_of(scan())
    assert len(set(ids)) == 3
    assert all(len(face_id) == 20 and int(face_id, 16) >= 0 for face_id in ids)
    assert ids_of(scan()) == ids
    assert ids_of(scan(), FACES[::-1]) == ids[::-1]
    surer = [Detection(face.left, face.top, face.right, face.bottom, 2.0) for face in FACES]
    assert ids_of(scan(), surer) == ids
    assert not set(ids_of(scan(scan_id="album/2"))) & set(ids)


def test_ids_are_those_of_earlier_versions() -> None:
    """Faces in existing archives keep their ids when they are analysed again without kept faces."""
    assert ids_of(scan())[0] == "43b038983a85d3a75c6c"


def test_two_faces_with_one_rectangle_have_two_ids() -> None:
    first, second = ids_of(scan(), [FACES[0], FACES[0]])
    assert first == ids_of(scan())[0]
    assert second != first


def test_a_face_that_overlaps_a_kept_one_by_half_keeps_its_id() -> None:
    # Moved by a third of its side: 2/3 over 4/3 is an intersection over union of 1/2.
    near, far = KeptFace(face_id="near", box=box(FACES[1], 33)), KeptFace(face_id="far", box=box(FACES[2], 34))
    new = ids_of(scan())
    assert ids_of(scan(near, far)) == [new[0], "near", new[2]]


def test_the_better_overlap_keeps_the_id_and_a_kept_face_that_is_gone_gives_its_to_nobody() -> None:
    keep = (
        KeptFace(face_id="near", box=box(FACES[0], 10)),
        KeptFace(face_id="exact", box=box(FACES[0])),
        KeptFace(face_id="gone", box=Box(left=0.0, top=0.9, right=0.05, bottom=1.0)),
    )
    for kept in (keep, keep[::-1]):
        ids = ids_of(scan(*kept))
        assert ids[0] == "exact"
        assert not {"near", "gone"} & set(ids)
        assert len(set(ids)) == 3


def test_one_kept_id_is_given_once_to_the_face_that_overlaps_it_most() -> None:
    kept = KeptFace(face_id="kept", box=box(FACES[0]))
    beside = Detection(110, 100, 210, 200, 1.0)
    ids = ids_of(scan(kept), [beside, FACES[0]])
    assert ids[1] == "kept"
    assert ids[0] != "kept"


def test_a_new_face_never_gets_an_id_that_is_kept() -> None:
    first = ids_of(scan())[0]
    swapped = ids_of(scan(KeptFace(face_id=first, box=box(FACES[1]))))
    assert swapped[1] == first
    assert swapped[0] != first
    gone = ids_of(scan(KeptFace(face_id=first, box=Box(left=0.0, top=0.9, right=0.05, bottom=1.0))))
    assert first not in gone
