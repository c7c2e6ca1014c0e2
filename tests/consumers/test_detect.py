"""Detect: a scan in, an analysis out; what cannot be analysed ends nobody's work but its own."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from consumers import detect, workers
from consumers.workers import Unusable, Workers
from models.analyse import EngineParameters
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from stream.records import Received, Rejected

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def scan(path: Path) -> ScanPublished:
    data = path.read_bytes()
    return ScanPublished(
        scan_id=f"album/{path.name}",
        uri=path.as_uri(),
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/jpeg",
        collection="album",
        published_at=NOON,
    )


@pytest.fixture
def pictures(tmp_path: Path) -> list[ScanPublished]:
    """Good pictures without a face, with names that a uri has to escape."""
    scans = []
    for number, name in enumerate(["plain.jpg", "with space.jpg", "ä[1]#%.jpg"]):
        path = tmp_path / name
        Image.fromarray(np.full((100, 120, 3), 60 * number, dtype=np.uint8)).save(path)
        scans.append(scan(path))
    return scans


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(EngineParameters(upsample=0), 2) as pool:
        yield pool


def received(message: ScanPublished | Tombstone) -> Received:
    return Received("scans", 0, 0, encode(message, event_id="1", time=NOON), message)


def test_each_scan_gets_its_outcome_in_order(two: Workers, pictures: list[ScanPublished]) -> None:
    outcomes = two.analyse(pictures)
    assert [it.scan_id for it in outcomes if isinstance(it, ScanAnalysed)] == [it.scan_id for it in pictures]


def test_what_cannot_be_used_says_why(two: Workers, pictures: list[ScanPublished]) -> None:
    wrong = pictures[0].model_copy(update={"sha256": "0" * 64})
    missing = pictures[0].model_copy(update={"uri": "file:///nowhere/at%20all.jpg"})
    foreign = pictures[0].model_copy(update={"uri": "gopher://archive/1.jpg"})
    outcomes = two.analyse([wrong, missing, foreign])
    reasons = [it.reason for it in outcomes if isinstance(it, Unusable)]
    assert "was published with 000" in reasons[0]
    assert reasons[1] == "nothing is at file:///nowhere/at%20all.jpg"
    assert "gopher" in reasons[2]


def test_a_process_that_is_killed_costs_no_scan(two: Workers, pictures: list[ScanPublished]) -> None:
    before = two.analyse(pictures)
    for process in list(two._pool._processes.values()):
        os.kill(int(process.pid or 0), signal.SIGKILL)
    assert two.analyse(pictures) == before


def test_withdrawals_keep_their_place_among_the_scans(pictures: list[ScanPublished]) -> None:
    def analyse(scans: Sequence[ScanPublished]) -> list[ScanAnalysed | Unusable]:
        return [Unusable(it.scan_id) for it in scans]

    gone = Tombstone(SCANS, "album/plain.jpg")
    batch = [received(pictures[0]), received(gone), received(pictures[1])]
    said = detect.step(analyse, batch)
    assert said[1] == Tombstone(FACES, "album/plain.jpg")
    assert said[0] == Rejected(batch[0], "album/plain.jpg")
    assert said[2] == Rejected(batch[2], "album/with space.jpg")


def test_an_unprepared_process_says_so(pictures: list[ScanPublished]) -> None:
    with pytest.raises(RuntimeError, match="not prepared"):
        workers._analyse(pictures[0])
