"""`facestream erase` on the sample archive: killed, it goes on, and nothing is left of the face, also of a backup.

The search of the files here shares no code with the proof.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders.commands import Finished, facestream, facestream_json
from tests.builders.killed import kill_at
from tests.builders.system import UPSAMPLE


def files_with(data: Path, *needles: bytes) -> list[str]:
    """The files of a data folder that hold one of these."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not path.is_relative_to(data / "sample")]
    return [str(path.relative_to(data)) for path in files if any(needle in path.read_bytes() for needle in needles)]


def needles_of(face_id: str, embedding: bytes) -> list[bytes]:
    """The id, parts of the embedding, and of its base64 behind no, one and two other bytes."""
    texts = [base64.b64encode(b"\0" * phase + embedding)[8:-8] for phase in range(3)]
    parts = [embedding[at : at + 16] for at in range(0, 480, 32)]
    return [face_id.encode(), *parts, *(text[at : at + 24] for text in texts for at in range(0, 600, 60))]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("as_by_default")
def test_a_face_is_gone_from_every_file_and_a_backup_that_has_it_is_erased_again(
    sample_run: Finished, tmp_path: Path
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    copy_archive(sample_run.data, data)
    before = {one["cluster_id"]: one["size"] for one in facestream_json("clusters", "--data", data)}
    # A cluster is called after its oldest face, so this one's id is in what happened to clusters as well.
    face_id = min(before)
    shown = facestream_json("show", face_id, "--embedding", "--data", data)[0]
    needles = needles_of(face_id, base64.b64decode(shown["embedding"]))
    facestream("label", face_id, "Anna", "--author", "tester", "--data", data)
    assert len(files_with(data, *needles)) > 5
    copy_archive(data, backup)

    kill_at("cli.erase_steps:Erasing._compact", ("erase", "--face", face_id, "--yes", "--data", data))
    (report,) = facestream_json("erase", "--data", data)
    assert report["is_erased"]
    assert report["erased"] == {"scans": 0, "faces": 1, "embeddings": 1, "decisions": 1}
    assert files_with(data, *needles) == []

    for name in ("kafka", "postgres", "snapshots"):
        shutil.rmtree(data / name)
        copy_archive(backup / name, data / name)
    assert files_with(data, *needles)
    refused = facestream("catalogue", "--data", data)
    assert "1 erasures are missing from the topic erasures, so an older state was restored" in refused.stderr
    run = facestream("run", "--data", data, "--upsample", UPSAMPLE, "--json")
    assert "an older state was restored: what was erased since is erased again" in run.stderr
    assert "erased again: 1 faces; the proof found 0 traces" in run.stderr
    assert files_with(data, *needles) == []

    facestream("reanalyse", shown["scan_id"], "--data", data)
    summary = facestream_json("run", "--data", data, "--upsample", UPSAMPLE)[0]
    assert (summary["published"], summary["faces"]) == (0, sample_run.summary["faces"] - 1)
    after = {one["cluster_id"]: one["size"] for one in facestream_json("clusters", "--data", data)}
    others = {cluster_id: size for cluster_id, size in before.items() if cluster_id != face_id}
    assert others.items() <= after.items()
    assert sorted(after.values()) == sorted([*others.values(), before[face_id] - 1])
    assert files_with(data, *needles) == []


def copy_archive(source: Path, target: Path) -> None:
    """With the owners of its files: as root, PostgreSQL has a user of its own."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
