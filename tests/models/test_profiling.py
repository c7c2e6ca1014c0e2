"""Stages are timed each for itself, and an engine that is timed finds the same faces."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from models.analyse import Engine, analyse_scans
from models.images import RgbImage
from models.profiling import DETECTION, EMBEDDING, LANDMARKS, StageClock, timed
from schemas.scans import ScanPublished


def test_a_stage_within_another_one_counts_for_itself_alone() -> None:
    memory = iter([100, 130, 150, 170])
    clock = StageClock(lambda: next(memory))
    with clock.stage("outer"), clock.stage("inner"):
        time.sleep(0.05)
    assert clock.usage["inner"].seconds >= 0.05
    assert clock.usage["outer"].seconds < clock.usage["inner"].seconds
    assert (clock.usage["outer"].grown, clock.usage["inner"].grown) == (50, 20)


def test_an_engine_that_is_timed_finds_the_same_faces(onnx_engine: Engine, group_photo: RgbImage) -> None:
    scan = ScanPublished(
        scan_id="group",
        uri="file:///group.png",
        sha256="0" * 64,
        media_type="image/png",
        collection="album",
        published_at=datetime(1918, 2, 24, tzinfo=UTC),
    )
    clock = StageClock(lambda: 0)
    (analysed,) = analyse_scans(timed(onnx_engine, clock), [(scan, group_photo)])
    assert len(analysed.faces) == 3
    assert [analysed] == analyse_scans(onnx_engine, [(scan, group_photo)])
    assert clock.usage.keys() == {DETECTION, LANDMARKS, EMBEDDING}
    assert all(usage.seconds > 0 for usage in clock.usage.values())
