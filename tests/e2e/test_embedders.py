"""An archive moves from dlib's embedder to another one: faces, names, rejections and links stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogue.connection import connect
from settings import DatabaseSettings
from tests.builders import networks
from tests.builders.commands import facestream, facestream_json

pytestmark = [pytest.mark.weights, pytest.mark.process, pytest.mark.usefixtures("named_services", "as_by_default")]


def faces(database: DatabaseSettings) -> dict[str, tuple[str, int]]:
    """The embedder of each face, and the length of its embedding in the catalogue."""
    query = """
        SELECT face_id, provenance ->> 'embedder', vector_dims(embedding) FROM faces JOIN analyses USING (scan_id)
    """
    with connect(database) as open_:
        return {face_id: (embedder, length) for face_id, embedder, length in open_.execute(query)}


def decided(data: Path) -> list[tuple[str, bool]]:
    """Which decisions there are, and whether they hold."""
    return [(it["decision_id"], it["holds"]) for it in facestream_json("history", "--data", data)]


def test_after_the_move_everything_that_was_decided_is_there(
    sample: Path, tmp_path: Path, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, scans = tmp_path / "data", sample / "album"
    facestream_json("run", scans, "--data", data, "--upsample", "0")
    monkeypatch.setenv("FACESTREAM_MODELS__UPSAMPLE", "0")
    before = faces(database)
    assert {length for _, length in before.values()} == {128}
    one, two, three, *_ = sorted(before)
    facestream_json("label", one, "Grace Hopper", "--data", data)
    facestream_json("label", two, "Alan Turing", "--data", data)
    facestream_json("reject", three, "Alan Turing", "--data", data)
    facestream_json("link", one, three, "--data", data)
    known = decided(data)

    network = networks.embedder(tmp_path / "net.onnx")
    file = networks.described(tmp_path, network, networks.EMBEDDER)
    (moved,) = facestream_json("reanalyse", "--all", "--embedder", file, "--data", data)
    assert moved == {"published_again": 7, "left_out": 0, "embedder": str(file)}
    after = faces(database)
    assert after.keys() == before.keys()
    ((embedder, length),) = set(after.values())
    assert embedder.startswith("small-")
    assert length == 16

    # Whoever leaves the setting out gets one line, and nothing is undone.
    left_out = facestream("run", scans, "--data", data)
    assert left_out.returncode == 1
    assert f"7 scans are analysed with the embedder {embedder}, and 0 with" in left_out.stderr
    assert faces(database) == after

    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", str(file))
    (summary,) = facestream_json("run", scans, "--data", data)
    assert (summary["published"], summary["already_there"], summary["waiting"]) == (0, 7, 0)
    assert decided(data) == known
    assert [it["name"] for it in facestream_json("people", "--data", data)] == ["Alan Turing", "Grace Hopper"]
    assert facestream_json("orphans", "--data", data) == []
    assert facestream_json("show", one, "--data", data)[0]["hard_label"]["name"] == "Grace Hopper"
    (shown,) = facestream_json("show", three, "--data", data)
    assert [it["name"] for it in shown["never"]] == ["Alan Turing"]
    assert [it["face_id"] for it in shown["linked"]] == [one]
    # Linked faces are one cluster, whatever the embedder makes of them.
    assert shown["cluster_id"] == facestream_json("show", one, "--data", data)[0]["cluster_id"]
    assert len(facestream_json("similar", one, "--data", data)) == min(10, len(after) - 1)


def test_a_wrong_embedder_is_one_line_and_nothing_is_published(sample: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    facestream_json("run", sample / "album", "--data", data, "--upsample", "0")
    network = networks.embedder(tmp_path / "net.onnx", -16)
    file = networks.described(tmp_path, network, networks.EMBEDDER)
    for options, reason in (
        (("--all", "--embedder", file), "net.onnx (small): a gray picture fails"),
        (("--all", "--embedder", "mobilefacenet"), "the network mobilefacenet has no file"),
        (("--all", "--embedder", tmp_path / "lost.toml"), "lost.toml cannot be read"),
        (("--collection", "album", "--embedder", file), "--embedder needs --all"),
    ):
        done = facestream("reanalyse", *options, "--data", data)
        assert done.returncode == 1
        assert reason in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
