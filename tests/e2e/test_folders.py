"""Files that are replaced, moved and deleted, through the whole system: whose face keeps its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample.archive import COLLINS, HOPPER
from tests.builders.commands import facestream, facestream_json
from tests.builders.photographs import portrait_of

pytestmark = [pytest.mark.weights, pytest.mark.process]


def named_faces(data: Path) -> int:
    """The number of faces that have a name."""
    return sum(int(person["hard"]) for person in facestream_json("people", "--data", data))


@pytest.mark.usefixtures("named_services")
def test_a_name_stays_with_its_face_when_pictures_are_replaced_moved_and_deleted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for year, portrait in (("1920", HOPPER), ("1930", COLLINS)):
        (tmp_path / year / "photos").mkdir(parents=True)
        portrait_of(portrait, 110, 2.0).save(tmp_path / year / "photos" / "001.png")
    run = ("--data", data, "--upsample", "0")
    (summary,) = facestream_json("run", tmp_path / "1920/photos", *run)
    assert summary["faces"] == 1
    ((face,),) = [cluster["faces"] for cluster in facestream_json("clusters", "--data", data)]
    facestream_json("label", face["face_id"], "Grace Hopper", "--data", data)

    refused = facestream("run", tmp_path / "1930/photos", *run)
    assert refused.returncode == 1
    assert "refused: " in refused.stderr
    assert "--collection NAME" in refused.stderr
    assert named_faces(data) == 1

    # Both faces are at the same place of their pictures.
    (summary,) = facestream_json("run", tmp_path / "1930/photos", "--replace", *run)
    assert (summary["changed"], summary["faces"]) == (1, 1)
    assert named_faces(data) == 0
    (orphan,) = facestream_json("orphans", "--data", data)
    assert (orphan["missing_face_id"], orphan["scan_id"], orphan["reason"]) == (
        face["face_id"],
        "photos/001.png",
        "replaced",
    )

    # The first picture again: its face is as it was.
    facestream_json("run", tmp_path / "1920/photos", "--replace", *run)
    assert named_faces(data) == 1
    assert facestream_json("orphans", "--data", data) == []

    (tmp_path / "1920").rename(tmp_path / "moved")
    (summary,) = facestream_json("run", tmp_path / "moved/photos", *run)
    assert (summary["moved"], summary["scans"], summary["faces"]) == (1, 1, 1)
    assert named_faces(data) == 1

    # A slightly different scan of the same picture is the same face.
    picture = portrait_of(HOPPER, 110, 2.0).rotate(2, fillcolor="gray")
    picture.save(tmp_path / "moved/photos/001.png")
    (summary,) = facestream_json("run", tmp_path / "moved/photos", *run)
    assert (summary["changed"], named_faces(data)) == (1, 1)


@pytest.mark.broker
@pytest.mark.database
def test_the_sample_is_not_added_to_scans_of_others(tmp_path: Path) -> None:
    """Also where a folder of a sample is there: the scans on the topic decide."""
    data = tmp_path / "data"
    (tmp_path / "photos").mkdir()
    portrait_of(HOPPER, 110, 2.0).save(tmp_path / "photos" / "001.png")
    facestream_json("ingest", tmp_path / "photos", "--data", data)
    refused = facestream("run", "--data", data, "--upsample", "0")
    assert refused.returncode == 1
    assert "the sample goes only into a new archive of its own" in refused.stderr
    assert not (data / "sample").exists()
    (data / "sample").mkdir()
    refused = facestream("run", "--data", data, "--upsample", "0")
    assert refused.returncode == 1
    assert "there are other scans in this archive, and the sample goes only" in refused.stderr
    (status,) = facestream_json("status", "--data", data)
    assert status["scans"] <= 1
