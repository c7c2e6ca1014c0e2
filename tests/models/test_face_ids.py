"""The ids of faces: the same for the same rectangle, and kept from an earlier analysis where box and face agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.descriptions import Space
from models.face_ids import face_ids
from models.protocols import Detection
from schemas.scans import Box, KeptFace, ScanPublished

# Three faces beside each other on a scan of 1000 x 1000 pixels.
NET, OTHER = (Space(embedder, 128, 0.37, 0.5) for embedder in ("net", "other net"))
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


def embedding(value: float = 0.0) -> npt.NDArray[np.float32]:
    """An embedding at this distance from that of 0."""
    vector = np.zeros(128, dtype="<f4")
    vector[3] = value
    return vector


def seen_on_another_picture(face_id: str, face: Detection, **changed: Any) -> KeptFace:  # noqa: ANN401
    """A kept face that was found at the place of this one, on another picture, with the embedding 0."""
    values: dict[str, Any] = {"sha256": "1" * 64, "embedding": embedding().tobytes(), "embedder": "net"} | changed
    return KeptFace(face_id=face_id, box=box(face), **values)


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


@pytest.mark.parametrize(("distance", "agrees"), [(0.0, True), (0.36, True), (0.38, False), (0.9, False)])
def test_on_another_picture_a_face_keeps_its_id_only_if_it_looks_like_the_earlier_one(
    distance: float, agrees: bool
) -> None:
    published = scan(seen_on_another_picture("earlier", FACES[0]))
    (face_id,) = face_ids(published, FACES[:1], [box(FACES[0])], [embedding(distance)], NET)
    assert (face_id == "earlier") == agrees


def test_a_face_that_looks_like_the_earlier_one_at_another_place_is_a_new_one() -> None:
    published = scan(seen_on_another_picture("earlier", FACES[1]))
    (face_id,) = face_ids(published, FACES[:1], [box(FACES[0])], [embedding()], NET)
    assert face_id == ids_of(scan())[0]


@pytest.mark.parametrize(
    "unknown", [{"embedder": "other net"}, {"embedder": None}, {"embedding": None}, {"embedding": b"\0" * 8}], ids=str
)
def test_on_another_picture_faces_that_cannot_be_compared_are_not_the_same(unknown: dict[str, Any]) -> None:
    published = scan(seen_on_another_picture("earlier", FACES[0], **unknown))
    assert face_ids(published, FACES[:1], [box(FACES[0])], [embedding()], NET) != ["earlier"]
    assert face_ids(published, FACES[:1], [box(FACES[0])]) != ["earlier"]


def test_another_page_of_the_same_file_is_another_picture() -> None:
    published = scan(seen_on_another_picture("earlier", FACES[0], sha256="0" * 64, page=2))
    assert face_ids(published, FACES[:1], [box(FACES[0])], [embedding(0.9)], NET) != ["earlier"]
    assert face_ids(published, FACES[:1], [box(FACES[0])], [embedding(0.1)], NET) == ["earlier"]


def test_on_the_same_picture_the_place_alone_decides() -> None:
    """Another network embeds the same faces elsewhere."""
    published = scan(seen_on_another_picture("earlier", FACES[0], sha256="0" * 64))
    assert face_ids(published, FACES[:1], [box(FACES[0])], [embedding(0.9)], OTHER) == ["earlier"]


def test_a_face_that_was_not_found_for_long_never_comes_before_a_live_one() -> None:
    old = KeptFace(face_id="old", box=box(FACES[0]), live=False)
    live = KeptFace(face_id="live", box=box(FACES[0], 30))
    for keep in ((old, live), (live, old)):
        assert ids_of(scan(*keep), FACES[:1]) == ["live"]
    assert ids_of(scan(old), FACES[:1]) == ["old"]
    # A second face at the same place takes what is left.
    beside = Detection(110, 100, 210, 200, 1.0)
    assert ids_of(scan(old, live), [FACES[0], beside]) == ["old", "live"]


def test_the_first_picture_put_back_has_its_own_faces_again() -> None:
    first = KeptFace(face_id="first", box=box(FACES[0]), sha256="0" * 64, live=False)
    second = seen_on_another_picture("second", FACES[0])
    assert face_ids(scan(second, first), FACES[:1], [box(FACES[0])], [embedding(0.9)], NET) == ["first"]
