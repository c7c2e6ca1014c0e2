"""Whatever the feed says, every scan ends analysed or as a dead letter with its reason, and the rest goes through."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from cli.common import now
from producers.feed import Feed
from producers.files import list_sources
from schemas.scans import ScanPublished
from schemas.topics import SCANS
from stream import clients
from tests.builders.system import StartSystem


def blank(path: Path) -> bytes:
    """A good picture without a face."""
    Image.fromarray(np.full((120, 120, 3), 200, dtype=np.uint8)).save(path)
    return path.read_bytes()


def test_bad_scans_become_dead_letters_with_their_reason(start: StartSystem, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    good = blank(folder / "good.jpg")
    (folder / "corrupt.jpg").write_bytes(good[:300] + b"\x00" * 200)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("a list of the photographs in this box")

    def published(scan_id: str, uri: Path, sha256: str) -> ScanPublished:
        return ScanPublished(
            scan_id=scan_id,
            uri=uri.as_uri(),
            sha256=sha256,
            media_type="image/jpeg",
            collection="album",
            published_at=datetime.now(UTC),
        )

    with start() as running:
        running.publish(list_sources([folder]).sources)
        with Feed(running.settings.kafka, now) as feed:
            feed.publish(published("album/missing.jpg", folder / "missing.jpg", "0" * 64))
            feed.publish(published("album/other.jpg", folder / "good.jpg", hashlib.sha256(b"other").hexdigest()))
        producer = clients.producer(running.settings.kafka)
        headers = [("ce_specversion", b"1.0"), ("ce_type", ScanPublished.type.encode())]
        producer.send(SCANS.name, key=b"album/garbage", value=b"{not json", headers=headers)
        producer.send(SCANS.name, key=b"album/foreign", value=b"from another system", headers=[])
        producer.close()
        running.wait_until_done()
        reasons = dict(running.rows("SELECT key, reason FROM dead_letters"))
        analysed = running.rows("SELECT scan_id FROM analyses")
    assert analysed == [("album/good.jpg",)]
    expected = {
        "album/corrupt.jpg": "damaged",
        "album/empty.jpg": "the file is empty",
        "album/text.jpg": "not an image",
        "album/missing.jpg": "nothing is at file://",
        "album/other.jpg": "has another sha256",
        "album/garbage": "Invalid JSON",
        "album/foreign": "not a CloudEvent",
    }
    assert reasons.keys() == expected.keys()
    for key, reason in expected.items():
        assert reason in reasons[key]
